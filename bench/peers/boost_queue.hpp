// Boost.Interprocess's message_queue, the queue between processes that C++ programs have today.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace bench::peers {

// For longs. Valid in processes forked after it was made; its name is gone when this object is.
class BoostQueue {
 public:
  // `which`: of several of this process.
  explicit BoostQueue(std::size_t most, const std::string& which = "queue");
  ~BoostQueue();
  BoostQueue(const BoostQueue&) = delete;
  BoostQueue& operator=(const BoostQueue&) = delete;
  void put(long item);  // waits while it is full
  long get();           // waits while it is empty

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace bench::peers
