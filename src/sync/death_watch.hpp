// Notices the end of lock owners where the kernel lets a thread wait for one word only.
//
// A waiter then sleeps on the lock's word alone, and a thread of its own process sleeps on the
// owner's life token; one such thread for each owner that this process has waited for and that
// still lives. At the owner's end it settles the death in every lock that waiters of this process
// wait for, which changes their words. Nothing is polled.
//
// Example:
//   const DeathWatch watch(core, named, word, true);   // for as long as the waiter sleeps
//   futex_wait(futex_of(core), ...);
#pragma once

#include <cstdint>

#include "procession/detail/lock_core.hpp"

namespace procession::detail {

class DeathWatch {
 public:
  // Does nothing unless `wanted`. Throws SystemError when no thread can be started.
  DeathWatch(LockCore& core, const Object& named, std::uint64_t word, bool wanted);
  ~DeathWatch();
  DeathWatch(const DeathWatch&) = delete;
  DeathWatch& operator=(const DeathWatch&) = delete;

 private:
  LockCore& core_;
  std::uint64_t owner_ = 0;  // 0: not watching
};

}  // namespace procession::detail
