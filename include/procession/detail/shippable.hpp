// Which types can travel to another process, decided at compile time.
//
// Example:
//   template <class T> void put(const T& item) {
//     assert_shippable<T>();                       // one readable error instead of a hundred lines
//     ...
//   }
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "procession/detail/shape.hpp"

namespace procession::detail {

template <class... T>
struct TypeList {};

template <template <class...> class Template, class... Args>
TypeList<std::remove_cv_t<Args>...> list_arguments(const Template<Args...>*);
template <class... Fields>
TypeList<std::remove_cvref_t<Fields>...> list_fields(const std::tuple<Fields...>*);

// The types inside, all of which must be able to travel. Evaluated for its type only.
template <class T>
consteval auto parts_of() {
  constexpr Shape shape = shape_of<T>;
  if constexpr (shape == Shape::Tuple || shape == Shape::Variant) {
    return decltype(list_arguments(static_cast<const T*>(nullptr)))();
  } else if constexpr (shape == Shape::Aggregate) {
    return decltype(list_fields(static_cast<const FieldTypes<T>*>(nullptr)))();
  } else if constexpr (shape == Shape::CArray) {
    return TypeList<std::remove_cv_t<std::remove_extent_t<T>>>();
  } else if constexpr (shape == Shape::Map) {
    return TypeList<typename T::key_type, typename T::mapped_type>();
  } else if constexpr (shape == Shape::UniquePtr || shape == Shape::SharedPtr) {
    return TypeList<std::remove_cv_t<typename T::element_type>>();
  } else if constexpr (shape == Shape::BindFront) {
    return typename T::Parts();
  } else if constexpr (shape >= Shape::Vector) {
    return TypeList<typename T::value_type>();
  } else {
    return TypeList<>();
  }
}

// What a smart pointer owns arrives as exactly that type, so it must be one that can exist.
template <class T>
consteval bool owns_no_value() {
  if constexpr (shape_of<T> == Shape::UniquePtr || shape_of<T> == Shape::SharedPtr) {
    using Element = typename T::element_type;
    return std::is_void_v<Element> || std::is_abstract_v<Element> || std::is_array_v<Element> ||
           (shape_of<T> == Shape::SharedPtr && !std::is_same_v<T, std::shared_ptr<Element>>);
  } else {
    return false;
  }
}

template <class F>
consteval bool find_shippable_callable();
template <class F>
inline constexpr bool shippable_callable = find_shippable_callable<F>();

template <class T, class... Within>
consteval bool find_shippable();

template <class... Within, class... Parts>
consteval bool all_shippable(TypeList<Parts...>) {
  return (find_shippable<Parts, Within...>() && ...);
}

template <class F, class... Bound>
consteval bool bound_shippable(TypeList<F, Bound...>) {
  return shippable_callable<F> && (find_shippable<Bound>() && ...);
}

// `Within`: the aggregates around, so that a tree whose node holds a vector of nodes is decided.
template <class T, class... Within>
consteval bool find_shippable() {
  constexpr Shape shape = shape_of<T>;
  if constexpr ((std::is_same_v<T, Within> || ...)) {
    return true;
  } else if constexpr (shape == Shape::None || owns_no_value<T>()) {
    return false;
  } else if constexpr (shape == Shape::Closure) {
    return shippable_callable<T>;
  } else if constexpr (shape == Shape::BindFront) {
    return bound_shippable(parts_of<T>());
  } else if constexpr (shape == Shape::Aggregate) {
    return all_shippable<Within..., T>(parts_of<T>());
  } else {
    return all_shippable<Within...>(parts_of<T>());
  }
}

// Whether T travels as a value. The type alone decides; NotShippable may still be thrown for
// types whose members cannot be seen.
template <class T>
inline constexpr bool shippable_value = find_shippable<T>();

// Closures and function objects that are no values travel as their bytes, whose words are looked
// at when they are sent. std::function hides what it holds behind a pointer.
template <class F>
consteval bool find_shippable_callable() {
  constexpr Shape shape = shape_of<F>;
  if constexpr (std::is_empty_v<F> && std::is_default_constructible_v<F>) {
    return true;
  } else if constexpr (!std::is_class_v<F>) {
    return shape == Shape::Function || shape == Shape::MemberFunction ||
           shape == Shape::MemberObject;
  } else if constexpr (shape == Shape::BindFront || shape == Shape::Serialize ||
                       shape == Shape::Aggregate) {
    return shippable_value<F>;
  } else if constexpr (type_name<F>().starts_with("std::function<")) {
    return false;
  } else {
    return std::is_copy_constructible_v<F>;
  }
}

// Does not compile unless T travels as a value; the error names T and what to do.
template <class T>
constexpr void assert_shippable() {
  if constexpr (std::is_class_v<T> && shape_of<T> == Shape::None && !is_std<T>) {
    static_assert(serialize_style<T>.ways <= 1,
                  "the type T (above) has more than one way of being serialized: say which with "
                  "cereal::specialize");
  }
  static_assert(!owns_no_value<T>(),
                "the type T (above) is a smart pointer to an abstract class, an array or void, and "
                "cannot travel to another process: use a std::variant of the concrete classes, or "
                "a vector");
  static_assert(owns_no_value<T>() || shippable_value<T>,
                "the type T (above) cannot travel to another process: give it a serialize() "
                "member, or make it an aggregate of shippable members; pointers and references "
                "cannot travel to another process");
}

// Does not compile unless F travels as a callable.
template <class F>
constexpr void assert_shippable_callable() {
  static_assert(shippable_callable<F>,
                "the callable F (above) cannot travel to another process: pass a function, a "
                "copyable lambda that captures values or handles, or "
                "procession::bind_front(f, values...) instead of a std::function, and capture no "
                "pointers");
}

// What an argument of type T becomes on its way: decayed, and characters become a std::string.
template <class T>
struct Shipped {
  using type = T;
};
template <class T>
requires(std::is_same_v<T, const char*> || std::is_same_v<T, char*> ||
         std::is_same_v<T, std::string_view>) struct Shipped<T> {
  using type = std::string;
};
template <class T>
using shipped_t = typename Shipped<std::decay_t<T>>::type;

}  // namespace procession::detail
