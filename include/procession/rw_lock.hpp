// Many readers at once, or one writer: between the threads and processes of a family.
//
//   mp::RWLock lock;
//   double price(Item item) {                     // any number of these at the same time
//     std::shared_lock guard(lock);
//     return table[item];
//   }
//   void change(Item item, double price) {        // alone
//     std::scoped_lock guard(lock);
//     table[item] = price;
//   }
//
// What each call makes of each state ("writer": by another thread; "shared": by whomever):
//
// clang-format off
// |                 | free       | shared, not by | shared by this | writer       | this thread   |
// |                 |            | this thread    | thread         |              | is the writer |
// | lock, acquire   | taken      | waits          | DeadlockError  | waits        | DeadlockError |
// | lock with limit | taken      | waits; false   | waits; false   | waits; false | waits; false  |
// | try_lock        | taken      | false          | false          | false        | false         |
// | lock_shared     | shared     | shared (*)     | one share more | waits        | DeadlockError |
// | ... with limit  | shared     | shared (*)     | one share more | waits; false | waits; false  |
// | try_lock_shared | shared     | shared (*)     | one share more | false        | false         |
// | unlock, release | StateError | StateError     | StateError     | StateError   | set free      |
// | unlock_shared   | StateError | StateError     | one share less | StateError   | StateError    |
// | recover         | taken,     | waits, taken,  | DeadlockError  | waits,       | DeadlockError |
// |                 | false      | false          |                | taken, false |               |
// | locked          | false      | true           | true           | true         | true          |
// clang-format on
//
// clang-format off
// |                 | writer died, not yet seen | poisoned    | a reader died             |
// | all acquires    | poisons, OwnerDied        | OwnerDied   | its shares are given back |
// | recover         | taken, true               | taken, true | its shares are given back |
// | unlock, release | poisons, StateError       | StateError  | as without that reader    |
// | unlock_shared   | StateError                | StateError  | as without that reader    |
// | locked          | true                      | true        | as without that reader    |
// clang-format on
//
// (*) Unless a writer waits: a waiting writer keeps new readers out, so that they cannot starve
// it. A thread that has a share already gets another all the same. Readers have no such right
// against writers that come without a pause.
//
// With OnOwnerDeath::Release a lock is never poisoned: the death of a writer sets it free, and a
// warning is logged. A writer that dies while it still waits leaves nothing behind.
//
// DeadlockError: in one of the waiters of a cycle of owners, as for Lock; a writer waits for every
// reader. A reader that wants to write must let go of its share first.
//
// Guaranteed: a process that is killed at any instruction of any of these calls leaves the lock
// free, held by the living, or a writer's death to be noticed; and no wake-up is lost with it.
// Dead is what the kernel says is gone; a stopped or slow holder is alive.
#pragma once

#include <chrono>

#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

namespace detail {
struct RWLockShared;  // src/sync/rw_lock.cpp
}

// A handle: copies name the same lock, in every process of the family. SharedTimedMutex: works
// with std::shared_lock, std::unique_lock, std::scoped_lock. All methods may be called from any
// thread; on an empty (moved-from) handle they throw StateError. The first use in a thread may
// throw OutOfMemory.
class RWLock : public detail::HandleBase {
 public:
  // A new lock, free. The name (up to 31 bytes of it) is what errors call it. Throws OutOfMemory.
  RWLock() : RWLock(Name{}) {}
  explicit RWLock(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise);
  explicit RWLock(OnOwnerDeath on_death, const Name& name = {}) : RWLock(name, on_death) {}

  // --- as the writer ---

  // Blocks until the calling thread holds the lock alone. Throws OwnerDied if a writer died holding
  // it, DeadlockError if this wait would close a cycle of owners.
  void lock() const;
  // Never blocks; false: somebody holds it. Throws OwnerDied.
  [[nodiscard]] bool try_lock() const;
  // Blocks for `duration` at most; false: the time ran out. Below zero counts as zero. New readers
  // wait meanwhile. Throws OwnerDied.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) const {
    return lock_until(detail::deadline_after(duration));
  }
  // A point of any clock, turned into one of the monotonic clock at the call.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return lock_until(detail::deadline_at(time));
  }
  // Never blocks. Throws StateError when the calling thread is not the writer.
  void unlock() const;

  // The same by the names that the other locks have.
  bool acquire() const {
    lock();
    return true;
  }
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(const std::chrono::duration<Rep, Period>& duration) const {
    return try_lock_for(duration);
  }
  [[nodiscard]] bool try_acquire() const { return try_lock(); }
  void release() const { unlock(); }

  // Takes a lock whose writer has died, as the writer, clears the mark, and returns true. With
  // nothing to recover: as lock(), and false. Blocks. Throws DeadlockError.
  bool recover() const;

  // Whether somebody holds it, alone or shared, or it is poisoned. A snapshot. Never blocks.
  [[nodiscard]] bool locked() const;

  // --- as a reader ---

  // Blocks until the calling thread has a share, or one more. Throws OwnerDied if a writer died
  // holding the lock, DeadlockError if this wait would close a cycle of owners, StateError for
  // more shares of one thread than can be counted (4,294,967,295).
  void lock_shared() const;
  // Never blocks; false: there is a writer, or one waits. Throws OwnerDied, StateError as above.
  [[nodiscard]] bool try_lock_shared() const;
  // Block for a time at most; false: it ran out. Throw OwnerDied, StateError as above.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& duration) const {
    return lock_shared_until(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_shared_until(
      const std::chrono::time_point<Clock, Duration>& time) const {
    return lock_shared_until(detail::deadline_at(time));
  }
  // Gives one share of the calling thread back. Never blocks. Throws StateError when it has none.
  void unlock_shared() const;

  // The same by the names that the other locks have.
  bool acquire_shared() const {
    lock_shared();
    return true;
  }
  template <class Rep, class Period>
  [[nodiscard]] bool acquire_shared(const std::chrono::duration<Rep, Period>& duration) const {
    return try_lock_shared_for(duration);
  }
  [[nodiscard]] bool try_acquire_shared() const { return try_lock_shared(); }
  void release_shared() const { unlock_shared(); }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static RWLock from_object(detail::Object* object);

 private:
  explicit RWLock(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::RWLockShared& shared() const { return shared_as<detail::RWLockShared>("RWLock"); }
  bool lock_until(detail::TimePoint deadline) const;
  bool lock_shared_until(detail::TimePoint deadline) const;
};

}  // namespace procession
