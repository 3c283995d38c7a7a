// What a pool call will return.
//
//   mp::AsyncResult<int> sum = pool.apply_async(add, 2, 3);
//   sum.then([](int five) { std::cout << five << '\n'; },
//            [](const std::exception& error) { std::cerr << error.what() << '\n'; });
//   int five = co_await sum;   // in a coroutine
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/batch.hpp"
#include "procession/detail/callback.hpp"
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

  // Calls on_value(result), or on_error with what get() would throw (as std::exception_ptr or const
  // std::exception&): once, in this process, on the library's callback thread, also when it is
  // ready already. Either may be left out; each call of then() adds one more. Callbacks never run
  // at the same time; an exception of theirs is logged and goes no further. They may use the pool,
  // and wait for other results, but not for what another callback is to do. The pool's join() and
  // destructor wait for them.
  template <class OnValue = std::nullptr_t>
  AsyncResult& then(OnValue on_value, detail::ErrorCallback on_error = {}) {
    static_assert(detail::takes_value<R, OnValue>,
                  "then() needs a callable that takes the result of the call");
    auto own = std::make_shared<OnValue>(std::move(on_value));
    state_->on_ready([self = *this, own, on_error = std::move(on_error)]() mutable {
      detail::call_back<R>(self, *own, on_error);
    });
    return *this;
  }

  // co_await gives what get() does. A coroutine that has to wait goes on on the callback thread.
  auto operator co_await() const {
    struct Awaiter {
      AsyncResult result;
      [[nodiscard]] bool await_ready() const { return result.ready(); }
      void await_suspend(std::coroutine_handle<> waiting) {
        result.state_->on_ready([waiting] { waiting.resume(); });
      }
      R await_resume() { return result.get(); }
    };
    return Awaiter{*this};
  }

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
