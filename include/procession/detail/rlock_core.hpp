// A lock core whose owner may take it again: what RLock is made of, and every object that hands
// one out.
//
// `depth` of the core is how often the owner has taken it. Only the owner writes it, after the
// store that made it the owner and before the one that sets the core free; what a dead or former
// owner left there is never read.
//
// The functions below are thread-safe. `named` is the object around the core; errors name it.
#pragma once

#include <cstdint>

#include "procession/detail/deadline.hpp"
#include "procession/detail/lock_core.hpp"

namespace procession::detail {

// Blocks, unless the calling thread is the owner. Throws OwnerDied, DeadlockError; StateError when
// the depth would be more than can be counted.
void rlock_acquire(LockCore& core, const Object& named);
// Blocks until `deadline`; false: it has passed. Throws OwnerDied, StateError (depth).
[[nodiscard]] bool rlock_acquire_until(LockCore& core, const Object& named, TimePoint deadline);
// Never blocks. Throws OwnerDied, StateError (depth).
[[nodiscard]] bool rlock_try_acquire(LockCore& core, const Object& named);
// One level less; the last sets the core free. Never blocks. Throws StateError when the calling
// thread is not the owner.
void rlock_release(LockCore& core, const Object& named);
// Blocks, unless the calling thread is the owner. Throws DeadlockError, StateError (depth).
bool rlock_recover(LockCore& core, const Object& named);

// For a Condition: sets the core free whatever the depth, and returns that. Never blocks. Throws
// StateError when the calling thread is not the owner.
[[nodiscard]] std::uint32_t rlock_release_all(LockCore& core, const Object& named);
// Takes the core again and restores the depth. Blocks. Throws OwnerDied, DeadlockError: then the
// core is not the caller's. REQUIRES: the calling thread is not the owner.
void rlock_acquire_with(LockCore& core, const Object& named, std::uint32_t depth);

// Holds a core, one level of it, for a scope. The child of a fork inside that scope does not.
class RLockGuard {
 public:
  RLockGuard(LockCore& core, const Object& named) : core_(core), named_(named) {
    rlock_acquire(core, named);
  }
  ~RLockGuard() {
    if (lock_is_mine(core_)) rlock_release(core_, named_);
  }
  RLockGuard(const RLockGuard&) = delete;
  RLockGuard& operator=(const RLockGuard&) = delete;

 private:
  LockCore& core_;
  const Object& named_;
};

}  // namespace procession::detail
