// Waiting, with a lock set free meanwhile, until another thread or process says that something has
// changed.
//
//   mp::Condition changed;                          // with a lock of its own
//   auto drain = [changed, stock] {
//     std::unique_lock hold(changed);
//     changed.wait_for([&] { return stock.load() > 0; });
//     take_from(stock);
//   };
//   { std::scoped_lock hold(changed); add_to(stock); changed.notify(); }
//
// What each call makes of the lock and of the waiters:
//
// clang-format off
// |                | lock not held  | lock held by this    | its holder died   | a waiter died    |
// |                | by this thread | thread               |                   |                  |
// | wait           | StateError     | sets it free, waits, | OwnerDied, when   | the others go on |
// |                |                | takes it again       | it is taken again | as without it    |
// | wait(duration) | StateError     | likewise; false: not | likewise          | likewise         |
// |                |                | notified in time     |                   |                  |
// | notify(n)      | the n go on that have waited longest, | as before         | is not counted,  |
// |                | all if there are fewer                |                   | notified or not  |
// | notify_all     | all go on                             | as before         | likewise         |
// | lock, unlock,  | as the lock does it (lock.hpp, rlock.hpp)                 | -                |
// | recover, ...   |                                                           |                  |
// clang-format on
//
// A notification is for those who wait at that moment; with nobody waiting it is for nobody. A
// waiter that was notified and is killed before it has the lock again takes no notification with
// it: the next one gets it. A wait returns only because of a notification, or of the time.
//
// notify does not need the lock, and never waits for a waiter. Who holds the lock while it changes
// what is waited for, and notifies, cannot be missed.
//
// The lock: deaths of its holders, and deadlocks, are told as by the lock itself, also to who waits
// here and takes it again. OwnerDied and DeadlockError out of wait(): the caller does not hold the
// lock. As guards around the wait do not know that, the releases that are due for it do nothing.
//
// Guaranteed: a process that is killed at any instruction of any of these calls leaves each
// notification with a living waiter, or it has not been given; and the condition goes on working.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "procession/detail/condition_core.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "procession/rlock.hpp"
#include "procession/types.hpp"

namespace procession {

// A handle: copies name the same condition, in every process of the family. Lockable and
// TimedLockable, as its lock is. All methods may be called from any thread; on an empty
// (moved-from) handle they throw StateError. The first use in a thread may throw OutOfMemory.
class Condition : public detail::HandleBase {
 public:
  // With an RLock of its own, which gets the name, too. Throws OutOfMemory.
  Condition() : Condition(Name{}) {}
  explicit Condition(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise)
      : Condition(RLock(name, on_death), name) {}
  explicit Condition(OnOwnerDeath on_death, const Name& name = {}) : Condition(name, on_death) {}
  // With that lock, which may have other uses and other conditions.
  explicit Condition(const Lock& lock, const Name& name = {});
  explicit Condition(const RLock& lock, const Name& name = {});

  // Blocks until notified. However often an RLock was taken, it is free meanwhile, and taken as
  // often afterwards. Throws StateError when the calling thread does not hold the lock; OwnerDied
  // when whoever held it meanwhile has died; DeadlockError when taking it again closes a cycle.
  void wait() const { (void)wait_until(detail::TimePoint::max()); }
  // Blocks for `duration` at most (below zero counts as zero), and then until the lock is free.
  // False: it was not notified in time.
  template <class Rep, class Period>
  bool wait(const std::chrono::duration<Rep, Period>& duration) const {
    return wait_until(detail::deadline_after(duration));
  }

  // Waits until pred() is true, asking it first and after each notification, with the lock held.
  template <class P>
  void wait_for(P pred) const {
    while (!pred()) wait();
  }
  // False: it was not true when the time was over.
  template <class P, class Rep, class Period>
  bool wait_for(P pred, const std::chrono::duration<Rep, Period>& duration) const {
    const detail::TimePoint deadline = detail::deadline_after(duration);
    while (!pred()) {
      if (!wait_until(deadline)) return static_cast<bool>(pred());
    }
    return true;
  }

  // Lets the `n` go on that have waited longest. Throws std::invalid_argument when n < 0.
  void notify(int n = 1) const;
  void notify_all() const;

  // As the lock does it (lock.hpp, rlock.hpp).
  void lock() const { detail::condition_lock(shared()); }
  [[nodiscard]] bool try_lock() const { return detail::condition_try_lock(shared()); }
  void unlock() const { detail::condition_unlock(shared()); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) const {
    return detail::condition_lock_until(shared(), detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return detail::condition_lock_until(shared(), detail::deadline_at(time));
  }
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
  bool recover() const { return detail::condition_recover(shared()); }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Condition from_object(detail::Object* object);

 private:
  explicit Condition(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::ConditionShared& shared() const {
    return shared_as<detail::ConditionShared>("Condition");
  }
  bool wait_until(detail::TimePoint deadline) const {
    return detail::condition_wait(shared(), deadline);
  }
};

}  // namespace procession
