#include "boost_queue.hpp"

#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>

namespace bench::peers {

namespace ipc = boost::interprocess;

struct BoostQueue::Inside {
  explicit Inside(std::size_t most)
      : name("procession-bench-" + std::to_string(::getpid())),
        queue(ipc::create_only, name.c_str(), most, sizeof(long)) {}
  std::string name;
  ipc::message_queue queue;
};

BoostQueue::BoostQueue(std::size_t most) {
  ipc::message_queue::remove(("procession-bench-" + std::to_string(::getpid())).c_str());
  inside_ = std::make_unique<Inside>(most);
}

BoostQueue::~BoostQueue() { ipc::message_queue::remove(inside_->name.c_str()); }

void BoostQueue::put(long item) { inside_->queue.send(&item, sizeof item, 0); }

long BoostQueue::get() {
  long item = 0;
  ipc::message_queue::size_type bytes = 0;
  unsigned priority = 0;
  inside_->queue.receive(&item, sizeof item, bytes, priority);
  return item;
}

}  // namespace bench::peers
