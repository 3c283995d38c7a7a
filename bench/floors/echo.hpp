// The least that a round trip between two processes can cost.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace bench::floors {

// A forked process that answers each number written into shared memory with the same number.
// Not thread-safe.
class Echo {
 public:
  enum class Wait { Sleep, Spin };  // on a futex each, always; or in a loop, never asleep
  explicit Echo(Wait wait);
  ~Echo();
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

  double round_trips(std::uint32_t count);  // seconds each

 private:
  struct Words;
  void answer() const;
  Wait wait_;
  Words* words_;
  pid_t pid_;
};

}  // namespace bench::floors
