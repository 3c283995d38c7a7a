// Which types may travel as their bytes, and the small recognisers that this needs.
//
// A trivially copyable aggregate is initialised, at compile time, with probes that convert only to
// types known to hold no pointer: where that compiles, no member is a pointer. Where the members
// cannot be seen (private ones, unions, very many) the words are looked at when it is sent.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "procession/detail/archive.hpp"
#include "procession/detail/fields.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/type_name.hpp"

namespace procession::detail {

// A handle gives the object that it names, nullptr when it is empty (moved-from), and can be made
// from one: from_object takes a reference of its own (retain). from_object(nullptr) is not called;
// an empty handle is T(T&&)'s leftover, so it is restored by moving out of nothing: see codec.hpp.
template <class T>
concept Handle = requires(const T& handle, Object* object) {
  { handle.handle_object() } noexcept -> std::convertible_to<Object*>;
  { T::from_object(object) } -> std::same_as<T>;
};

template <class T, template <class...> class Template>
inline constexpr bool is_specialization = false;
template <template <class...> class Template, class... Args>
inline constexpr bool is_specialization<Template<Args...>, Template> = true;

template <class T>
inline constexpr bool is_std_array = false;
template <class T, std::size_t N>
inline constexpr bool is_std_array<std::array<T, N>> = true;

template <class F, class... Bound>
class BindFront;
template <class T>
inline constexpr bool is_bind_front = false;
template <class F, class... Bound>
inline constexpr bool is_bind_front<BindFront<F, Bound...>> = true;

// A type of the standard library itself, not one derived from it.
template <class T>
inline constexpr bool is_std = type_name<T>().starts_with("std::");

consteval bool names_closure(std::string_view name) {
#if defined(__clang__)
  const std::size_t at = name.rfind("(lambda at ");
  return at != name.npos && name.ends_with(')') && name.find('>', at) == name.npos;
#else
  if (name.ends_with(" mutable")) name.remove_suffix(8);
  return name.ends_with(")>") && name.find("<lambda(") != name.npos;
#endif
}

template <class T>
inline constexpr bool is_closure =
    std::is_class_v<T> && !std::is_aggregate_v<T> && names_closure(type_name<T>());

enum class BytesKind { Plain, Scanned, No };

template <class T>
consteval BytesKind find_bytes_kind();
template <class T>
inline constexpr BytesKind bytes_kind = find_bytes_kind<T>();

// Converts to types that may travel as their bytes, but not to Whole.
template <class Whole, bool ScannedToo>
struct BytesField {
  template <class U>
    requires(!std::is_same_v<std::remove_cvref_t<U>, Whole> &&
             (bytes_kind<std::remove_cv_t<U>> == BytesKind::Plain ||
              (ScannedToo && bytes_kind<std::remove_cv_t<U>> == BytesKind::Scanned)))
  operator U() const noexcept;  // never defined
};

consteval BytesKind worst(std::initializer_list<BytesKind> kinds) {
  BytesKind worst = BytesKind::Plain;
  for (const BytesKind kind : kinds) worst = kind > worst ? kind : worst;
  return worst;
}

template <template <class...> class Template, class... Args>
consteval BytesKind worst_argument(const Template<Args...>*) {
  return worst({BytesKind::Plain, bytes_kind<Args>...});
}

// What no pointer fits in at its natural alignment holds none; of the rest nothing is known.
template <class T>
inline constexpr BytesKind kind_by_alignment =
    alignof(T) < alignof(void*) ? BytesKind::Plain : BytesKind::Scanned;

template <class T>
consteval BytesKind bytes_kind_of_aggregate() {
  constexpr std::size_t flat = count_flat_fields<T>();
  if constexpr (flat == unknown_fields) {
    // Nothing fits a reference member; it is the reason where not even {} does.
    return takes<T, 0>() || takes<T, most_flat_fields + 1>() ? BytesKind::Scanned : BytesKind::No;
  } else {
    using Indices = std::make_index_sequence<flat>;
    if constexpr (braces_fit<T, BytesField<T, false>>(Indices())) {
      return BytesKind::Plain;
    } else {
      return braces_fit<T, BytesField<T, true>>(Indices()) ? BytesKind::Scanned : BytesKind::No;
    }
  }
}

template <class T>
consteval bool is_view() {
  constexpr std::string_view name = type_name<T>();
  for (const std::string_view view :
       {"std::basic_string_view<", "std::span<", "std::initializer_list<",
        "std::reference_wrapper<", "std::__n4861::coroutine_handle<"}) {
    if (name.starts_with(view)) return true;
  }
  return false;
}

template <class T>
consteval BytesKind bytes_kind_of_std() {
  constexpr std::string_view name = type_name<T>();
  if constexpr (is_specialization<T, std::optional> || is_specialization<T, std::variant> ||
                is_specialization<T, std::tuple> || is_specialization<T, std::pair>) {
    return worst_argument(static_cast<const T*>(nullptr));
  } else if constexpr (is_std_array<T>) {
    return bytes_kind<typename T::value_type>;
  } else if constexpr (requires { typename T::rep; typename T::period; }) {
    return bytes_kind<typename T::rep>;           // std::chrono::duration
  } else if constexpr (requires { typename T::clock; typename T::duration; }) {
    return bytes_kind<typename T::duration>;      // std::chrono::time_point
  } else if constexpr (std::is_same_v<T, std::error_code> ||
                       std::is_same_v<T, std::error_condition> || is_view<T>()) {
    return BytesKind::No;
  } else if constexpr (std::is_empty_v<T> || name.starts_with("std::complex<") ||
                       name.starts_with("std::bitset<")) {
    return BytesKind::Plain;
  } else if constexpr (std::is_aggregate_v<T>) {
    return bytes_kind_of_aggregate<T>();
  } else {
    return kind_by_alignment<T>;
  }
}

template <class T>
consteval BytesKind bytes_kind_of_class() {
  if constexpr (!std::is_trivially_copyable_v<T> ||
                !(std::is_copy_constructible_v<T> || std::is_move_constructible_v<T>)) {
    return BytesKind::No;
  } else if constexpr (Handle<T> || is_bind_front<T>) {
    return BytesKind::No;
  } else if constexpr (is_std<T>) {
    return bytes_kind_of_std<T>();
  } else if constexpr (is_closure<T>) {
    return BytesKind::No;
  } else if constexpr (serialize_style<T>.ways != 0) {
    return BytesKind::No;                         // its author has said how it travels
  } else if constexpr (std::is_empty_v<T> || kind_by_alignment<T> == BytesKind::Plain) {
    return BytesKind::Plain;
  } else if constexpr (std::is_aggregate_v<T> && !std::is_union_v<T>) {
    return bytes_kind_of_aggregate<T>();
  } else {
    return BytesKind::Scanned;
  }
}

template <class T>
consteval BytesKind find_bytes_kind() {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_null_pointer_v<T>) {
    return BytesKind::Plain;
  } else if constexpr (std::is_bounded_array_v<T>) {
    return bytes_kind<std::remove_cv_t<std::remove_extent_t<T>>>;
  } else if constexpr (std::is_class_v<T> || std::is_union_v<T>) {
    return bytes_kind_of_class<T>();
  } else {
    return BytesKind::No;
  }
}

}  // namespace procession::detail
