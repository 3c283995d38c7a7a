// What a pool call will return.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/batch.hpp"
#include "procession/detail/codec.hpp"
#include "procession/detail/pool_core.hpp"

namespace procession {

namespace detail {

struct WaitAccess;

template <class R>
R read_result(const BatchState& state, std::uint32_t item) {
  if (!state.has_value(item)) state.throw_failure(item);
  if constexpr (ResultOf<R>::kind == ResultKind::Flat) {
    return *reinterpret_cast<const R*>(state.flat(item));
  } else if constexpr (!std::is_void_v<R>) {
    Reader reader = state.boxed(item);
    return decode<R>(reader);
  }
}

template <class R>
struct OneResult {
  static R collect(const BatchState& state) { return read_result<R>(state, 0); }
};

// All items in order; the first failure is thrown.
template <class R>
struct AllResults {
  static auto collect(const BatchState& state) {
    if (const std::uint32_t failed = state.first_failure(); failed < state.items()) {
      state.throw_failure(failed);
    }
    if constexpr (!std::is_void_v<R>) {
      std::vector<R> all;
      const std::uint32_t count = state.items();
      all.reserve(count);
      if constexpr (ResultOf<R>::kind == ResultKind::Flat && sizeof(R) == ResultOf<R>::stride &&
                    !std::is_same_v<R, bool>) {
        const auto* first = reinterpret_cast<const R*>(state.flat(0));
        all.assign(first, first + count);
      } else {
        for (std::uint32_t i = 0; i < count; ++i) all.push_back(read_result<R>(state, i));
      }
      return all;
    }
  }
};

}  // namespace detail

// Copyable; copies name the same call. Every member may be called from any thread of the process
// that made the pool. The result stays in the family memory until the last copy is gone.
template <class R>
class AsyncResult {
 public:
  // Waits, and returns the result or throws what the task threw: its own type, or WorkerDied,
  // TaskCancelled, PoolClosed. May be called again.
  R get() {
    state_->wait(std::nullopt);
    return collect_(*state_);
  }
  // The same; TimeoutError when it is not ready in time: the task goes on.
  template <class Rep, class Period>
  R get(std::chrono::duration<Rep, Period> duration) {
    if (!wait(duration)) detail::throw_result_timeout();
    return collect_(*state_);
  }
  void wait() { state_->wait(std::nullopt); }
  // False: not ready in time.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> duration) {
    return state_->wait(detail::deadline_after(duration));
  }
  [[nodiscard]] bool ready() const { return state_->ready(); }  // never blocks
  // StateError while it is not ready.
  [[nodiscard]] bool successful() const {
    if (!state_->ready()) detail::throw_not_ready("successful()");
    return state_->succeeded();
  }
  // Queued: dropped. Running: its worker is killed. Either way get() throws TaskCancelled. False:
  // it was ready already.
  bool cancel() { return state_->cancel(); }

  // For the library: `collect` reads the result from a state that is ready.
  using Collect = R (*)(const detail::BatchState&);
  AsyncResult(std::shared_ptr<detail::BatchState> state, Collect collect)
      : state_(std::move(state)), collect_(collect) {}

 private:
  friend struct detail::WaitAccess;
  std::shared_ptr<detail::BatchState> state_;
  Collect collect_;
};

}  // namespace procession
