#include "boost_queue.hpp"

#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>
#include <utility>

namespace bench::peers {

namespace ipc = boost::interprocess;

struct BoostQueue::Inside {
  Inside(std::string called, std::size_t most)
      : name(std::move(called)), queue(ipc::create_only, name.c_str(), most, sizeof(long)) {}
  std::string name;
  ipc::message_queue queue;
};

BoostQueue::BoostQueue(std::size_t most, const std::string& which) {
  const std::string name = "procession-bench-" + which + "-" + std::to_string(::getpid());
  ipc::message_queue::remove(name.c_str());
  inside_ = std::make_unique<Inside>(name, most);
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
