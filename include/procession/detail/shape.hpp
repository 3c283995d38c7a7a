// What kind of value a type is, as far as sending it goes. Each shape has its way through the
// codec; a shape says nothing yet about the types inside (shippable.hpp does).
//
// The types of the standard library are recognised by their name and their members, not by
// including the headers that define them: <filesystem>, <map> or <complex> cost nothing unless
// the program uses them.
#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "procession/detail/archive.hpp"
#include "procession/detail/bytes_kind.hpp"
#include "procession/detail/fields.hpp"
#include "procession/detail/type_name.hpp"

namespace procession::detail {

enum class Shape {
  None,     // cannot travel
  Bytes,    // trivially copyable, certainly without pointers
  Scanned,  // trivially copyable; its words are looked at when it is sent
  Function,
  MemberFunction,
  MemberObject,
  Closure,
  BindFront,
  Handle,
  ErrorCode,
  Serialize,
  Aggregate,
  CArray,
  String,
  Path,
  Vector,
  BoolVector,
  Sequence,
  ForwardList,
  Set,
  Map,
  Array,
  Tuple,
  Optional,
  Variant,
  UniquePtr,
  SharedPtr,
};

// Containers: the element types and what they are built with must be constructible from nothing.
template <class T>
concept MapLike = requires(T& t, typename T::mapped_type& value) {
  typename T::key_type;
  t.emplace_hint(t.end(), std::declval<typename T::key_type>(), std::move(value));
};
template <class T>
concept SetLike = requires(T& t) {
  t.emplace_hint(t.end(), std::declval<typename T::key_type>());
};
template <class T>
concept SequenceLike = requires(T& t) {
  t.begin();
  t.size();
  t.push_back(std::declval<typename T::value_type>());
};

// A container's own functions come back default-constructed, so they must have no state.
template <class T>
consteval bool stateless_functions() {
  if constexpr (requires { typename T::key_compare; }) {
    return std::is_empty_v<typename T::key_compare>;
  } else {
    return std::is_empty_v<typename T::hasher> && std::is_empty_v<typename T::key_equal>;
  }
}

template <class T>
consteval Shape shape_of_keyed() {
  if constexpr (!stateless_functions<T>()) {
    return Shape::None;
  } else {
    return MapLike<T> ? Shape::Map : Shape::Set;
  }
}

template <class T>
consteval Shape shape_of_std() {
  if constexpr (std::is_same_v<T, std::error_code> || std::is_same_v<T, std::error_condition>) {
    return Shape::ErrorCode;
  } else if constexpr (is_specialization<T, std::basic_string>) {
    return Shape::String;
  } else if constexpr (is_specialization<T, std::vector>) {
    return std::is_same_v<typename T::value_type, bool> ? Shape::BoolVector : Shape::Vector;
  } else if constexpr (is_specialization<T, std::pair> || is_specialization<T, std::tuple>) {
    return Shape::Tuple;
  } else if constexpr (is_specialization<T, std::optional>) {
    return Shape::Optional;
  } else if constexpr (is_specialization<T, std::variant>) {
    return Shape::Variant;
  } else if constexpr (is_specialization<T, std::unique_ptr>) {
    return std::is_same_v<typename T::deleter_type, std::default_delete<typename T::element_type>>
               ? Shape::UniquePtr
               : Shape::None;
  } else if constexpr (is_specialization<T, std::shared_ptr>) {
    return Shape::SharedPtr;
  } else if constexpr (is_std_array<T>) {
    return Shape::Array;
  } else if constexpr (requires(const T& t) {
                         t.native();
                         T::preferred_separator;
                       }) {
    return Shape::Path;
  } else if constexpr (MapLike<T> || SetLike<T>) {
    return shape_of_keyed<T>();
  } else if constexpr (SequenceLike<T>) {
    return Shape::Sequence;
  } else if constexpr (requires(T & t) { t.insert_after(t.before_begin(), *t.begin()); }) {
    return Shape::ForwardList;
  } else {
    return Shape::None;
  }
}

// An aggregate is made anew with braces around its fields. One with a C array, which no function
// can return, is made empty and then filled, for which it must allow both.
template <class T, class... Fields>
consteval bool can_be_rebuilt(const std::tuple<Fields...>*) {
  constexpr bool has_array = (std::is_array_v<std::remove_reference_t<Fields>> || ...);
  return !has_array ||
         (std::is_default_constructible_v<T> &&
          (!std::is_const_v<std::remove_all_extents_t<std::remove_reference_t<Fields>>> && ...));
}

template <class T>
consteval Shape shape_of_aggregate() {
  if constexpr (field_count<T> == unknown_fields) {
    return Shape::None;
  } else {
    return can_be_rebuilt<T>(static_cast<const FieldTypes<T>*>(nullptr)) ? Shape::Aggregate
                                                                         : Shape::None;
  }
}

template <class T>
consteval Shape shape_of_class() {
  if constexpr (bytes_kind<T> == BytesKind::Plain) {
    return Shape::Bytes;
  } else if constexpr (Handle<T>) {
    return Shape::Handle;
  } else if constexpr (is_bind_front<T>) {
    return Shape::BindFront;
  } else if constexpr (is_std<T>) {
    constexpr Shape shape = shape_of_std<T>();
    return shape == Shape::None && bytes_kind<T> == BytesKind::Scanned ? Shape::Scanned : shape;
  } else if constexpr (is_closure<T>) {
    return Shape::Closure;
  } else if constexpr (serialize_style<T>.ways != 0) {
    return serialize_style<T>.ways == 1 ? Shape::Serialize : Shape::None;
  } else if constexpr (bytes_kind<T> == BytesKind::Scanned) {
    return Shape::Scanned;
  } else {
    return shape_of_aggregate<T>();
  }
}

template <class T>
consteval Shape find_shape() {
  if constexpr (std::is_const_v<T> || std::is_volatile_v<T> || std::is_reference_v<T> ||
                std::is_void_v<T>) {
    return Shape::None;
  } else if constexpr (std::is_member_function_pointer_v<T>) {
    return Shape::MemberFunction;
  } else if constexpr (std::is_member_object_pointer_v<T>) {
    return Shape::MemberObject;
  } else if constexpr (std::is_pointer_v<T>) {
    return std::is_function_v<std::remove_pointer_t<T>> ? Shape::Function : Shape::None;
  } else if constexpr (std::is_bounded_array_v<T>) {
    return bytes_kind<T> == BytesKind::Plain ? Shape::Bytes : Shape::CArray;
  } else if constexpr (std::is_class_v<T> || std::is_union_v<T>) {
    return shape_of_class<T>();
  } else {
    return bytes_kind<T> == BytesKind::Plain ? Shape::Bytes : Shape::None;
  }
}

template <class T>
inline constexpr Shape shape_of = find_shape<T>();

}  // namespace procession::detail
