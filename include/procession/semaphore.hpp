// Permits for the threads and processes of a family: as many at a time as there are permits.
//
//   mp::Semaphore tickets(2);                       // at most two downloads at a time
//   auto fetch = [tickets](int page) {
//     std::scoped_lock permit(tickets);             // comes back also if this process is killed
//     download(page);
//   };
//
//   mp::Semaphore ready(0);                         // a count: one side adds, the other takes
//   produce(item); ready.release();                 //   here
//   ready.acquire(); consume();                     //   there
//
//   mp::BoundedSemaphore seats(10);                 // one release too many is an error
//
// A permit taken by acquire() is a bare count: nobody knows who took it, and it is lost with a
// process that is killed before its release(). One taken by lock(), try_lock..., and so by
// std::scoped_lock and std::unique_lock, belongs to the thread that took it, and so does every
// permit of a BoundedSemaphore: when its owner has died, it is given back.
//
// What each call makes of each state:
//
// clang-format off
// |                    | permits left | none left           | an owner of permits has died        |
// | acquire, lock      | takes one    | waits               | none left: gives back, takes one    |
// | acquire(duration), | takes one    | waits; false at the | likewise                            |
// | try_lock_for/until |              | deadline            |                                     |
// | try_acquire,       | takes one    | false               | likewise                            |
// | try_lock           |              |                     |                                     |
// | release, unlock    | adds         | adds, wakes as many | likewise; the next one who finds    |
// |                    |              |                     | none gives back                     |
// | get_value          | how many     | 0                   | gives back, how many                |
// clang-format on
//
// BoundedSemaphore::release is an error, and changes nothing, when more are free than it started
// with afterwards: what the dead have given back counts.
//
// Dead is what the kernel says is gone: a thread that ended, with or without its process. A
// stopped or slow one is alive. Who sleeps for a permit learns of a death at once.
//
// Guaranteed: a process that is killed at any instruction of any of these calls leaves a value
// that counts each permit once, those of its own that are tracked are given back, and no wake-up
// is lost with it. Not fair: who comes just then may be served before one that has waited.
#pragma once

#include <chrono>
#include <cstdint>

#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/semaphore_core.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

// A handle: copies name the same semaphore, in every process of the family. Lockable and
// TimedLockable. All methods may be called from any thread; on an empty (moved-from) handle they
// throw StateError. The first use in a thread may throw OutOfMemory.
class Semaphore : public detail::HandleBase {
 public:
  // A new semaphore with `value` permits. Throws std::invalid_argument when it is below 0, and
  // OutOfMemory. The name (up to 31 bytes of it) is what errors call it.
  explicit Semaphore(int value = 1, const Name& name = {});
  explicit Semaphore(const Name& name) : Semaphore(1, name) {}

  // Blocks until there is a permit, and takes it: a bare count. Always true.
  bool acquire() const;
  // Blocks for `duration` at most; false: the time ran out. Below zero counts as zero.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire_until(detail::Permit::Bare, detail::deadline_after(duration));
  }
  // Does not wait for a permit; false: there is none.
  [[nodiscard]] bool try_acquire() const;

  // Adds `count` permits; whoever calls, however many there were at the beginning. What the
  // calling thread has taken by lock() goes back first. Does not wait for a permit. Throws
  // std::invalid_argument when count < 1, StateError when there would be more than 2147483647.
  void release(int count = 1) const;

  // How many permits there are. A snapshot.
  [[nodiscard]] int get_value() const;

  // What std::scoped_lock, std::unique_lock and std::lock call: the same for permits that are
  // given back when the calling thread dies. A thread can hold several. unlock() by a thread that
  // holds none gives back another's, or adds one if there are none.
  void lock() const;
  [[nodiscard]] bool try_lock() const;
  void unlock() const;
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire_until(detail::Permit::Tracked, detail::deadline_after(duration));
  }
  // A point of any clock, turned into one of the monotonic clock at the call.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return acquire_until(detail::Permit::Tracked, detail::deadline_at(time));
  }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Semaphore from_object(detail::Object* object);

 private:
  explicit Semaphore(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::SemaphoreShared& shared() const {
    return shared_as<detail::SemaphoreShared>("Semaphore");
  }
  bool acquire_until(detail::Permit permit, detail::TimePoint deadline) const;
};

// As Semaphore, with two differences: there are never more permits than at the beginning, and
// every permit belongs to the thread that took it.
class BoundedSemaphore : public detail::HandleBase {
 public:
  // As for Semaphore.
  explicit BoundedSemaphore(int value = 1, const Name& name = {});
  explicit BoundedSemaphore(const Name& name) : BoundedSemaphore(1, name) {}

  // Blocks until there is a permit, and takes it. Always true.
  bool acquire() const;
  // Blocks for `duration` at most; false: the time ran out. Below zero counts as zero.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(const std::chrono::duration<Rep, Period>& duration) const {
    return acquire_until(detail::deadline_after(duration));
  }
  // Does not wait for a permit; false: there is none.
  [[nodiscard]] bool try_acquire() const;

  // Gives `count` permits back: the calling thread's, and when it has not so many, those of
  // others, one holder after the other. Does not wait for a permit. Throws std::invalid_argument
  // when count < 1; StateError, and nothing has changed, when there would be more than at the
  // beginning.
  void release(int count = 1) const;

  // How many permits there are. A snapshot.
  [[nodiscard]] int get_value() const;

  void lock() const { acquire(); }
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
  static BoundedSemaphore from_object(detail::Object* object);

 private:
  explicit BoundedSemaphore(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::SemaphoreShared& shared() const {
    return shared_as<detail::SemaphoreShared>("BoundedSemaphore");
  }
  bool acquire_until(detail::TimePoint deadline) const;
};

}  // namespace procession
