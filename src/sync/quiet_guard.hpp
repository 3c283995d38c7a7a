// Holds the inner lock of an object for a scope: one that guards a redo log, whose next holder
// makes good what a dead one left, and that nobody holds while it waits for anything.
//
// It cannot be part of a deadlock, and its waiters must not look for one: they may be on duty
// (sleeper.hpp, invariant 4).
#pragma once

#include "procession/detail/lock_core.hpp"

namespace procession::detail {

class QuietGuard {
 public:
  // REQUIRES: the core is OwnerDeath::Silent.
  QuietGuard(LockCore& core, const Object& named) : core_(core), named_(named) {
    (void)lock_acquire_until(core, named, TimePoint::max());
  }
  ~QuietGuard() { lock_release(core_, named_); }
  QuietGuard(const QuietGuard&) = delete;
  QuietGuard& operator=(const QuietGuard&) = delete;

 private:
  LockCore& core_;
  const Object& named_;
};

}  // namespace procession::detail
