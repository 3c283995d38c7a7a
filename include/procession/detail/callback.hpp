// What the program gives to AsyncResult::then().
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace procession::detail {

// A callable that takes the exception as std::exception_ptr or as const std::exception&, or none.
class ErrorCallback {
 public:
  ErrorCallback() = default;
  ErrorCallback(std::nullptr_t) {}  // NOLINT: as a std::function
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, ErrorCallback> &&
           (std::invocable<std::decay_t<F>&, std::exception_ptr> ||
            std::invocable<std::decay_t<F>&, const std::exception&>))  //
      ErrorCallback(F&& on_error)                                      // NOLINT: as a std::function
      : call_([own = std::make_shared<std::decay_t<F>>(std::forward<F>(on_error))](
                  const std::exception_ptr& error) {
          if constexpr (std::invocable<std::decay_t<F>&, std::exception_ptr>) {
            std::invoke(*own, error);
          } else {
            try {
              std::rethrow_exception(error);
            } catch (const std::exception& caught) {
              std::invoke(*own, caught);
            }
          }
        }) {}

  void operator()(const std::exception_ptr& error) const {
    if (call_) call_(error);
  }

 private:
  std::function<void(const std::exception_ptr&)> call_;
};

template <class F>
bool is_null([[maybe_unused]] const F& function) {
  if constexpr (std::is_same_v<F, std::nullptr_t>) {
    return true;
  } else if constexpr (requires { static_cast<bool>(function == nullptr); }) {
    return function == nullptr;
  } else {
    return false;
  }
}

template <class R, class F>
inline constexpr bool takes_value =
    std::is_same_v<F, std::nullptr_t> || std::invocable<F&, R> || std::invocable<F&, R&>;
template <class F>
inline constexpr bool takes_value<void, F> =
    std::is_same_v<F, std::nullptr_t> || std::invocable<F&>;

// Calls on_value with what `result.get()` returns, or on_error with what it throws.
template <class R, class F, class Result>
void call_back(Result& result, F& on_value, const ErrorCallback& on_error) {
  struct Nothing {};
  std::conditional_t<std::is_void_v<R>, Nothing, std::unique_ptr<R>> value;
  try {
    if constexpr (std::is_void_v<R>) {
      result.get();
    } else {
      value.reset(new R(result.get()));
    }
  } catch (...) {
    return on_error(std::current_exception());
  }
  if (is_null(on_value)) return;
  if constexpr (!std::is_same_v<F, std::nullptr_t>) {
    if constexpr (std::is_void_v<R>) {
      std::invoke(on_value);
    } else if constexpr (std::invocable<F&, R>) {
      std::invoke(on_value, std::move(*value));
    } else {
      std::invoke(on_value, *value);
    }
  }
}

}  // namespace procession::detail
