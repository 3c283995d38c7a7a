// How a target is called with arguments that it owns: moved in, as std::thread does; or, when its
// parameters are non-const references, as lvalues, so that it may change its own copies.
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace procession::detail {

template <class F, class... Args>
inline constexpr bool calls_with_moved = std::is_invocable_v<F, Args...>;

template <class F, class... Args>
inline constexpr bool calls = std::is_invocable_v<F, Args...> || std::is_invocable_v<F, Args&...>;

template <class F, class Tuple>
struct InvokeResult;
template <class F, class... Args>
struct InvokeResult<F, std::tuple<Args...>> {
  static auto probe() {
    if constexpr (calls_with_moved<F, Args...>) {
      return std::type_identity<std::invoke_result_t<F, Args...>>{};
    } else {
      return std::type_identity<std::invoke_result_t<F, Args&...>>{};
    }
  }
  using type = typename decltype(probe())::type;
};

// What a call of F with these (decayed) arguments returns.
template <class F, class... Args>
using call_result_t = typename InvokeResult<F, std::tuple<Args...>>::type;

template <class F, class... Args>
decltype(auto) call(F& f, std::tuple<Args...>& arguments) {
  return std::apply(
      [&f](Args&... each) -> decltype(auto) {
        if constexpr (calls_with_moved<F&, Args...>) {
          return std::invoke(f, std::move(each)...);
        } else {
          return std::invoke(f, each...);
        }
      },
      arguments);
}

}  // namespace procession::detail
