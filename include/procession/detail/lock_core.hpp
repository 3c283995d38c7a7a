// What Lock, and every object with a lock inside, is made of: one word of shared memory.
//
// The functions below are thread-safe. `named` is the object around the core; errors name it.
// Invariants and the state table: procession/lock.hpp and src/sync/lock_core.cpp.
#pragma once

#include <atomic>
#include <cstdint>

#include "procession/detail/deadline.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// Raise and Release: types.hpp. Silent: as Release, for locks that guard nothing a dead owner can
// leave half done; nobody is told.
enum class OwnerDeath : std::uint32_t { Raise, Release, Silent };

// All zero: free, Raise.
struct LockCore {
  std::atomic<std::uint64_t> word;
  OwnerDeath on_death;
  std::atomic<std::uint32_t> depth;  // of a recursive lock: rlock_core.hpp
};

struct LockShared {
  Object head;
  LockCore core;
};

// Blocks. Throws OwnerDied, DeadlockError.
void lock_acquire(LockCore& core, const Object& named);
// Blocks until `deadline`; false: it has passed. Throws OwnerDied.
[[nodiscard]] bool lock_acquire_until(LockCore& core, const Object& named, TimePoint deadline);
// Never blocks. Throws OwnerDied.
[[nodiscard]] bool lock_try_acquire(LockCore& core, const Object& named);
// Never blocks. Throws StateError.
void lock_release(LockCore& core, const Object& named);
// Blocks. Throws DeadlockError.
bool lock_recover(LockCore& core, const Object& named);
// Never block.
[[nodiscard]] bool lock_is_taken(const LockCore& core) noexcept;
[[nodiscard]] bool lock_is_mine(const LockCore& core);

// Holds a core for a scope. The child of a fork inside that scope does not hold it.
class CoreGuard {
 public:
  CoreGuard(LockCore& core, const Object& named) : core_(core), named_(named) {
    lock_acquire(core, named);
  }
  ~CoreGuard() {
    if (lock_is_mine(core_)) lock_release(core_, named_);
  }
  CoreGuard(const CoreGuard&) = delete;
  CoreGuard& operator=(const CoreGuard&) = delete;

 private:
  LockCore& core_;
  const Object& named_;
};

}  // namespace procession::detail
