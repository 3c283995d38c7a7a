// mp::bind_front(f, values...): f with its first arguments fixed, in a form that can travel.
//
// Works as std::bind_front: calling the result with `rest...` calls f(values..., rest...). The
// values are kept by value and are sent as values, so that a std::string or a std::vector, which a
// lambda that captured it could not take to another process, can be bound. A string literal and a
// std::string_view are kept as std::string.
//
// Example:
//   std::vector<double> weights = load();
//   pool.map(mp::bind_front(score, weights), documents);       // score(weights, document)
//
// Thread-safety, blocking and errors of a call are those of f. Binding throws what copying does.
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "procession/detail/shippable.hpp"

namespace procession {

namespace detail {

template <class F, class... Bound>
class BindFront {
 public:
  using Function = F;
  using BoundTuple = std::tuple<Bound...>;
  using Parts = TypeList<F, Bound...>;

  BindFront(F f, std::tuple<Bound...> values)
      : function_(std::move(f)), bound_(std::move(values)) {}

  const F& function() const noexcept { return function_; }
  const std::tuple<Bound...>& bound() const noexcept { return bound_; }

  template <class... Rest>
  requires std::is_invocable_v<F&, Bound&..., Rest...>
  decltype(auto) operator()(Rest&&... rest) & { return call(*this, std::forward<Rest>(rest)...); }
  template <class... Rest>
  requires std::is_invocable_v<const F&, const Bound&..., Rest...>
  decltype(auto) operator()(Rest&&... rest) const& {
    return call(*this, std::forward<Rest>(rest)...);
  }
  template <class... Rest>
  requires std::is_invocable_v<F, Bound..., Rest...>
  decltype(auto) operator()(Rest&&... rest) && {
    return call(std::move(*this), std::forward<Rest>(rest)...);
  }
  template <class... Rest>
  requires std::is_invocable_v<const F, const Bound..., Rest...>
  decltype(auto) operator()(Rest&&... rest) const&& {
    return call(std::move(*this), std::forward<Rest>(rest)...);
  }

 private:
  template <class Self, class... Rest>
  static decltype(auto) call(Self&& self, Rest&&... rest) {
    return std::apply(
        [&](auto&&... bound) -> decltype(auto) {
          return std::invoke(std::forward<Self>(self).function_,
                             std::forward<decltype(bound)>(bound)..., std::forward<Rest>(rest)...);
        },
        std::forward<Self>(self).bound_);
  }

  F function_;
  std::tuple<Bound...> bound_;
};

}  // namespace detail

template <class F, class... Values>
[[nodiscard]] auto bind_front(F&& function, Values&&... values) {
  using Bound = detail::BindFront<std::decay_t<F>, detail::shipped_t<Values>...>;
  return Bound(std::forward<F>(function),
               std::tuple<detail::shipped_t<Values>...>(std::forward<Values>(values)...));
}

}  // namespace procession
