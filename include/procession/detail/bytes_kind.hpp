// Which types may travel as their bytes, and the small recognisers that this needs.
//
// A trivially copyable aggregate is initialised, at compile time, with a probe that converts only
// to types that hold, or may hold, a pointer: where no field takes it, the bytes are safe. Where
// the members cannot be seen (private ones, unions, very many) the words are looked at when it is
// sent.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
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
// from one: from_object takes a reference of its own (retain); from_object(nullptr) is an empty
// handle.
template <class T>
concept Handle = requires(const T& handle, Object* object) {
  { handle.handle_object() }
  noexcept->std::convertible_to<Object*>;
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

// Converts to types that are `Least` or worse, but not to Whole.
template <class Whole, BytesKind Least>
struct WorseField {
  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, Whole> &&
           bytes_kind<std::remove_cv_t<U>> >= Least)
  operator U() const noexcept {
    __builtin_unreachable();  // named in unevaluated operands only
  }
};

template <class T, BytesKind Least, std::size_t... Before, std::size_t... After>
consteval bool takes_worse(std::index_sequence<Before...>, std::index_sequence<After...>) {
  using Any = AnyField<T>;
  return requires {
    T{Repeated<Any, Before>{}..., WorseField<T, Least>{}, Repeated<Any, After>{}...};
  };
}

// Whether any field is `Least` or worse. Where a field is better, brace elision leads the probe to
// the members of the field, which are better too.
template <class T, BytesKind Least, std::size_t Flat, std::size_t Before = 0>
consteval bool has_worse_field() {
  if constexpr (Before >= Flat) {
    return false;
  } else if constexpr (takes_worse<T, Least>(std::make_index_sequence<Before>(),
                                             std::make_index_sequence<Flat - Before - 1>())) {
    return true;
  } else {
    return has_worse_field<T, Least, Flat, Before + field_width<T, Before, Flat>()>();
  }
}

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
inline constexpr BytesKind kind_by_alignment = alignof(T) < alignof(void*) ? BytesKind::Plain
                                                                           : BytesKind::Scanned;

template <class T>
consteval BytesKind bytes_kind_of_aggregate() {
  constexpr std::size_t flat = count_flat_fields<T>();
  if constexpr (may_hold_reference<T>) {
    return BytesKind::No;
  } else if constexpr (flat == unknown_fields) {
    return BytesKind::Scanned;
  } else if constexpr (!has_worse_field<T, BytesKind::Scanned, flat>()) {
    return std::is_move_assignable_v<T> ? BytesKind::Plain : BytesKind::Scanned;
  } else {
    return has_worse_field<T, BytesKind::No, flat>() ? BytesKind::No : BytesKind::Scanned;
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
  } else if constexpr (requires {
                         typename T::rep;
                         typename T::period;
                       }) {
    return bytes_kind<typename T::rep>;  // std::chrono::duration
  } else if constexpr (requires {
                         typename T::clock;
                         typename T::duration;
                       }) {
    return bytes_kind<typename T::duration>;  // std::chrono::time_point
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
    return BytesKind::No;  // its author has said how it travels
  } else if constexpr (std::is_empty_v<T> || kind_by_alignment<T> == BytesKind::Plain) {
    return BytesKind::Plain;
  } else if constexpr (std::is_aggregate_v<T> && !std::is_union_v<T>) {
    return bytes_kind_of_aggregate<T>();
  } else {
    return BytesKind::Scanned;
  }
}

// Not an arithmetic type without the compiler's own extensions.
template <class T>
inline constexpr bool is_wide_integer = false;
#if defined(__SIZEOF_INT128__)
template <>
inline constexpr bool is_wide_integer<__int128_t> = true;
template <>
inline constexpr bool is_wide_integer<__uint128_t> = true;
#endif

template <class T>
consteval BytesKind find_bytes_kind() {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_null_pointer_v<T> ||
                is_wide_integer<T>) {
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
