// A Lock that the thread which holds it may take again.
//
//   mp::RLock lock;
//   void add(int x) { std::scoped_lock guard(lock); total += x; }
//   void add_all(const std::vector<int>& all) {
//     std::scoped_lock guard(lock);               // nobody sees half of it
//     for (int x : all) add(x);                   // takes the lock again, and does not wait
//   }
//
// It is free again after as many releases as there were acquires. What each call makes of each
// state:
//
// clang-format off
// |                    | free       | held by another | held by this  | owner died,  | poisoned   |
// |                    |            | thread          | thread        | not yet seen |            |
// | acquire, lock      | taken      | waits           | one deeper    | poisons,     | OwnerDied  |
// |                    |            |                 |               | OwnerDied    |            |
// | acquire(duration), | taken      | waits; false at | one deeper    | poisons,     | OwnerDied  |
// | try_lock_for/until |            | the deadline    |               | OwnerDied    |            |
// | try_acquire,       | taken      | false           | one deeper    | poisons,     | OwnerDied  |
// | try_lock           |            |                 |               | OwnerDied    |            |
// | recover            | taken,     | waits, taken,   | one deeper,   | taken, true  | taken,     |
// |                    | false      | false           | false         |              | true       |
// | release, unlock    | StateError | StateError      | one less; the | poisons,     | StateError |
// |                    |            |                 | last: free    | StateError   |            |
// | locked             | false      | true            | true          | true         | true       |
// clang-format on
//
// Whoever recovers a lock holds it once, however deep its dead owner was. OnOwnerDeath::Release,
// what dead means, and what is guaranteed: as for Lock (lock.hpp).
#pragma once

#include <chrono>

#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/rlock_core.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

// A handle: copies name the same lock, in every process of the family. Lockable and
// TimedLockable. All methods may be called from any thread; on an empty (moved-from) handle they
// throw StateError. The first use in a thread may throw OutOfMemory. All that acquire throw
// StateError when the calling thread holds the lock 4,294,967,295 times.
class RLock : public detail::HandleBase {
 public:
  // A new lock, free. The name (up to 31 bytes of it) is what errors call it. Throws OutOfMemory.
  RLock() : RLock(Name{}) {}
  explicit RLock(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise);
  explicit RLock(OnOwnerDeath on_death, const Name& name = {}) : RLock(name, on_death) {}

  // Blocks until the calling thread holds the lock; always true. Throws OwnerDied if its holder
  // died, DeadlockError if this wait would close a cycle of owners.
  bool acquire() const {
    lock();
    return true;
  }
  // Blocks for `duration` at most; false: the time ran out. Below zero counts as zero. Throws
  // OwnerDied.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire_until(detail::deadline_after(duration));
  }
  // Never blocks; false: another thread holds it. Throws OwnerDied.
  [[nodiscard]] bool try_acquire() const;

  // Undoes one acquire of the calling thread. Never blocks. Throws StateError when the calling
  // thread does not hold the lock.
  void release() const;

  // Whether the acquire of a thread that does not hold it would not succeed at once: held, or
  // poisoned. A snapshot. Never blocks.
  [[nodiscard]] bool locked() const;

  // Takes a lock whose owner has died, clears the mark, and returns true; the caller then holds
  // it, once. With nothing to recover: as acquire(), and false. Blocks. Throws DeadlockError.
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

  // For the codec: a handle to `object`, with a reference of its own; an object of another kind
  // that begins as LockShared does will do. nullptr: an empty handle.
  static RLock from_object(detail::Object* object);

 private:
  explicit RLock(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::LockShared& shared() const { return shared_as<detail::LockShared>("RLock"); }
  bool acquire_until(detail::TimePoint deadline) const;
};

}  // namespace procession
