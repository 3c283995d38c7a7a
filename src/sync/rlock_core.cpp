// Invariants of a recursive core, beside those of lock_core.cpp:
//   1. `depth` belongs to the owner that `word` names: nobody else reads or writes it. It is at
//      least 1 from the end of the owner's first acquire until it sets the core free.
//   2. An owner killed at any depth is one dead owner; whoever comes next starts at depth 1.
// The single stores: first acquire, last release, death and recover: those of the core. Acquire
// and release at a greater depth: the one of `depth`.
#include "procession/detail/rlock_core.hpp"

#include <cstdint>
#include <limits>

#include "procession/errors.hpp"
#include "sync/lock_core.hpp"
#include "sync/lock_report.hpp"

namespace procession::detail {
namespace {

std::uint32_t depth_of(const LockCore& core) noexcept {
  return core.depth.load(std::memory_order_relaxed);
}

void set_depth(LockCore& core, std::uint32_t depth) noexcept {
  core.depth.store(depth, std::memory_order_relaxed);
}

// REQUIRES: the calling thread is the owner.
void deepen(LockCore& core, const Object& named) {
  const std::uint32_t depth = depth_of(core);
  if (depth == std::numeric_limits<std::uint32_t>::max()) throw_too_deep(named);
  set_depth(core, depth + 1);
}

}  // namespace

void rlock_acquire(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (is_owner(core, me)) return deepen(core, named);
  if (!take_free(core, me)) lock_acquire(core, named);
  set_depth(core, 1);
}

bool rlock_acquire_until(LockCore& core, const Object& named, TimePoint deadline) {
  if (lock_is_mine(core)) {
    deepen(core, named);
    return true;
  }
  if (!lock_acquire_until(core, named, deadline)) return false;
  set_depth(core, 1);
  return true;
}

bool rlock_try_acquire(LockCore& core, const Object& named) {
  if (lock_is_mine(core)) {
    deepen(core, named);
    return true;
  }
  if (!lock_try_acquire(core, named)) return false;
  set_depth(core, 1);
  return true;
}

void rlock_release(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (!is_owner(core, me)) {
    if (forgive_release(core)) return;
    refuse_release(core, named);
  }
  const std::uint32_t depth = depth_of(core);
  if (depth > 1) return set_depth(core, depth - 1);
  if (!set_free(core, me)) lock_release(core, named);
}

bool rlock_recover(LockCore& core, const Object& named) {
  if (lock_is_mine(core)) {
    deepen(core, named);
    return false;
  }
  const bool recovered = lock_recover(core, named);
  set_depth(core, 1);
  return recovered;
}

std::uint32_t rlock_release_all(LockCore& core, const Object& named) {
  if (!lock_is_mine(core)) refuse_release(core, named);
  const std::uint32_t depth = depth_of(core);
  lock_release(core, named);
  return depth;
}

void rlock_acquire_with(LockCore& core, const Object& named, std::uint32_t depth) {
  lock_acquire(core, named);
  set_depth(core, depth);
}

}  // namespace procession::detail
