// Mutual exclusion between the threads and processes of a family, which outlives its holders.
//
//   mp::Lock lock;                                // 1. a scope
//   { std::scoped_lock guard(lock); balance += 10; }
//
//   if (lock.acquire(2s)) {                       // 2. with a limit
//     print(report);
//     lock.release();
//   }
//
//   try {                                         // 3. after a death
//     lock.acquire();
//   } catch (const mp::OwnerDied& death) {        // process_name(), pid(): what it was doing is
//     lock.recover();                             // half done; now we hold the lock, and
//     repair(balance);                            // make it good
//   }
//
// What each call makes of each state:
//
// clang-format off
// |                    | free       | held by another | held by this  | owner died,  | poisoned   |
// |                    |            | thread          | thread        | not yet seen |            |
// | acquire, lock      | taken      | waits           | DeadlockError | poisons,     | OwnerDied  |
// |                    |            |                 |               | OwnerDied    |            |
// | acquire(duration), | taken      | waits; false at | waits; false  | poisons,     | OwnerDied  |
// | try_lock_for/until |            | the deadline    | likewise      | OwnerDied    |            |
// | try_acquire,       | taken      | false           | false         | poisons,     | OwnerDied  |
// | try_lock           |            |                 |               | OwnerDied    |            |
// | recover            | taken,     | waits, taken,   | DeadlockError | taken, true  | taken,     |
// |                    | false      | false           |               |              | true       |
// | release, unlock    | StateError | set free        | set free      | poisons,     | StateError |
// |                    |            |                 |               | StateError   |            |
// | locked             | false      | true            | true          | true         | true       |
// clang-format on
//
// With OnOwnerDeath::Release a lock is never poisoned: whoever sees that the owner has died sets
// the lock free and logs a warning, and its own call goes on from there.
//
// Dead is what the kernel says is gone: a thread that ended, with or without its process. A
// stopped or slow holder is alive. Waiters learn of a death at once, and it is named by pid and
// process name however late the next acquirer comes.
//
// A blocking acquire (without a duration) that closes a cycle of owners, of Lock, RLock and RWLock
// in any mixture, throws DeadlockError in one of its waiters and takes nothing; the others go on
// waiting, for that one to let go of what it holds. That a thread outside the cycle might release
// one of its locks is not considered.
//
// Guaranteed: a process that is killed at any instruction of any of these calls leaves the lock
// free, held by a living thread, or its death to be noticed; and no wake-up is lost with it. The
// lock is not fair: a thread that comes just then may be served before one that has waited. Of
// several threads that sleep for one lock, only some watch its present owner; if exactly those are
// stopped (SIGSTOP), the others are told of its death when they go on.
#pragma once

#include <chrono>

#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

// A handle: copies name the same lock, in every process of the family. Lockable and
// TimedLockable. All methods may be called from any thread; on an empty (moved-from) handle they
// throw StateError. The first use in a thread may throw OutOfMemory.
class Lock : public detail::HandleBase {
 public:
  // A new lock, free. The name (up to 31 bytes of it) is what errors call it. Throws OutOfMemory.
  Lock() : Lock(Name{}) {}
  explicit Lock(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise);
  explicit Lock(OnOwnerDeath on_death, const Name& name = {}) : Lock(name, on_death) {}

  // Blocks until the calling thread holds the lock; always true. Throws OwnerDied if its holder
  // died, DeadlockError if this wait would close a cycle of owners: that the calling thread holds
  // it already is the smallest.
  bool acquire() const {
    lock();
    return true;
  }
  // Blocks for `duration` at most; false: the time ran out. Below zero counts as zero. Throws
  // OwnerDied. For a lock of its own the calling thread just waits, as another may release it.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire_until(detail::deadline_after(duration));
  }
  // Never blocks; false: somebody holds it. Throws OwnerDied.
  [[nodiscard]] bool try_acquire() const;

  // Sets the lock free, whoever holds it: any thread of any process may. Never blocks. Throws
  // StateError when nobody holds it.
  void release() const;

  // Whether an acquire would not succeed at once: held, or poisoned. A snapshot. Never blocks.
  [[nodiscard]] bool locked() const;

  // Takes a lock whose owner has died, clears the mark, and returns true; the caller then holds
  // it. With nothing to recover: as acquire(), and false. Throws DeadlockError.
  bool recover() const;

  // What std::scoped_lock, std::unique_lock and std::lock call.
  void lock() const;
  [[nodiscard]] bool try_lock() const { return try_acquire(); }
  void unlock() const { release(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire(duration);
  }
  // A point of any clock, turned into one of the monotonic clock at the call.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return acquire_until(detail::deadline_at(time));
  }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Lock from_object(detail::Object* object);

 private:
  explicit Lock(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::LockShared& shared() const { return shared_as<detail::LockShared>("Lock"); }
  bool acquire_until(detail::TimePoint deadline) const;
};

}  // namespace procession
