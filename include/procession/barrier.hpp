// A meeting point: nobody goes on until all parties have come.
//
//   mp::Barrier step(4, [total] { total.store(0); });     // the action: one party runs it
//   auto worker = [step](int n) {
//     for (int i = 0; i < 100; ++i) {
//       compute(n, i);
//       step.wait();                                      // all have computed step i
//     }
//   };
//
// What each call makes of each state:
//
// clang-format off
// |                | some have come     | the last one comes | broken       | one that has waited |
// |                |                    |                    |              | here is gone        |
// | wait           | waits              | runs the action,   | Broken-      | breaks it: this and |
// |                |                    | all go on          | BarrierError | all who wait get    |
// |                |                    |                    |              | BrokenBarrierError  |
// | wait(duration) | waits; at the      | likewise           | likewise     | likewise            |
// |                | deadline breaks it |                    |              |                     |
// | reset          | who waits gets BrokenBarrierError; then it is empty, whole, and has          |
// |                | forgotten who has waited here                                                |
// | abort          | breaks it: who waits gets the error     | nothing      | breaks it           |
// | broken         | false              | -                  | true         | breaks it, true     |
// | n_waiting      | how many have come | -                  | 0            | breaks it, 0        |
// clang-format on
//
// A broken barrier stays so until reset().
//
// Gone is what the kernel says is gone: a process that was killed, crashed, or exited, whether or
// not it was waiting. A stopped or slow one is not; neither is one of which a thread has ended.
// Who waits learns of it at once. What was over before is not affected: who had come to a meeting
// that took place returns from it. A process that has exited with status 0 after its last meeting
// has left: that breaks the barrier when one of those waits who have met with it, as they would
// for ever, but not before; who has not met with it does not miss it.
//
// Guaranteed: a process that is killed at any instruction of any of these calls leaves the barrier
// broken, or as if it had never come near it; and nobody waits for it.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "procession/detail/barrier_core.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

// A handle: copies name the same barrier, in every process of the family. All methods may be
// called from any thread; on an empty (moved-from) handle they throw StateError. The first use in
// a thread may throw OutOfMemory.
class Barrier : public detail::HandleBase {
  template <class F>
  static constexpr bool is_action =
      std::invocable<std::decay_t<F>&>&& std::copy_constructible<std::decay_t<F>>;

 public:
  // Throws std::invalid_argument when parties < 1, and OutOfMemory. The name (up to 31 bytes of
  // it) is what errors call it.
  explicit Barrier(int parties, const Name& name = {})
      : Barrier(parties, detail::BarrierAction(), no_timeout, name) {}
  // `action` is called by the party that comes last, before any goes on. If it throws, the barrier
  // breaks, that party gets the exception and the others BrokenBarrierError. In this process, and
  // those forked from it, it is called where it is; a shippable one is called in any other process
  // as a copy, made for each call, with the values it has now. One that is not shippable cannot be
  // called there: NotShippable, as if it had thrown that.
  template <class F>
  requires is_action<F> Barrier(int parties, F&& action, const Name& name = {})
      : Barrier(parties, detail::make_barrier_action(std::forward<F>(action)), no_timeout, name) {}
  // `timeout`: of each wait() that is not given one.
  template <class F, class Rep, class Period>
  requires is_action<F> Barrier(int parties, F&& action,
                                const std::chrono::duration<Rep, Period>& timeout,
                                const Name& name = {})
      : Barrier(parties, detail::make_barrier_action(std::forward<F>(action)), as_timeout(timeout),
                name) {}
  template <class Rep, class Period>
  Barrier(int parties, std::nullptr_t, const std::chrono::duration<Rep, Period>& timeout,
          const Name& name = {})
      : Barrier(parties, detail::BarrierAction(), as_timeout(timeout), name) {}

  // Blocks until all parties have come. Returns the number of those who came before, so each
  // party gets another one of 0..parties-1; the last runs the action. Throws BrokenBarrierError.
  int wait() const { return wait_until(detail::barrier_deadline(shared())); }
  // Blocks for `duration` at most (below zero counts as zero); when it is over the barrier breaks.
  template <class Rep, class Period>
  int wait(const std::chrono::duration<Rep, Period>& duration) const {
    return wait_until(detail::deadline_after(duration));
  }

  // Who waits gets BrokenBarrierError; afterwards the barrier is as new. Does not wait for anyone.
  void reset() const;
  // Breaks the barrier. Does not wait for anyone.
  void abort() const;

  [[nodiscard]] int parties() const;
  // Snapshots.
  [[nodiscard]] int n_waiting() const;
  [[nodiscard]] bool broken() const;

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Barrier from_object(detail::Object* object);

 private:
  static constexpr std::chrono::nanoseconds no_timeout{-1};
  template <class Rep, class Period>
  static std::chrono::nanoseconds as_timeout(const std::chrono::duration<Rep, Period>& timeout) {
    using Seconds = std::chrono::duration<long double>;
    if (!(timeout > timeout.zero())) return std::chrono::nanoseconds(0);
    if (Seconds(timeout) >= Seconds(std::chrono::nanoseconds::max())) return no_timeout;
    return std::chrono::ceil<std::chrono::nanoseconds>(timeout);
  }
  Barrier(int parties, detail::BarrierAction action, std::chrono::nanoseconds timeout,
          const Name& name);
  explicit Barrier(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::BarrierShared& shared() const { return shared_as<detail::BarrierShared>("Barrier"); }
  int wait_until(detail::TimePoint deadline) const;
};

}  // namespace procession
