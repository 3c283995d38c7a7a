// Part of codec.hpp: tuples, and values of which there is one, another or none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

#include "procession/detail/codec.hpp"
#include "procession/detail/codec_bytes.hpp"
#include "procession/detail/codec_serialize.hpp"

namespace procession::detail {

template <class Tuple>
void encode_tuple(Writer& writer, const Tuple& tuple) {
  std::apply([&](const auto&... part) { (encode_value(writer, part), ...); }, tuple);
}

template <class Tuple, class... Parts>
Tuple decode_tuple(Reader& reader, TypeList<Parts...>) {
  return Tuple{decode_value<Parts>(reader)...};  // braces evaluate from left to right
}

template <class Optional>
void encode_optional(Writer& writer, const Optional& optional) {
  encode_bytes(writer, optional.has_value());
  if (optional.has_value()) encode_value(writer, *optional);
}

template <class Optional>
Optional decode_optional(Reader& reader) {
  if (copy_from_bytes<std::uint8_t>(reader) == 0) return Optional();
  return Optional(std::in_place, decode_value<typename Optional::value_type>(reader));
}

template <class Variant>
void encode_variant(Writer& writer, const Variant& variant) {
  if (variant.valueless_by_exception()) throw_valueless(writer.call(), type_name<Variant>());
  encode_bytes(writer, static_cast<std::uint32_t>(variant.index()));
  std::visit([&](const auto& value) { encode_value(writer, value); }, variant);
}

template <class Variant, std::size_t I = 0>
Variant decode_alternative(Reader& reader, std::uint32_t index) {
  if constexpr (I == std::variant_size_v<Variant>) {
    throw_corrupt(type_name<Variant>());
  } else {
    using Alternative = std::remove_cv_t<std::variant_alternative_t<I, Variant>>;
    if (index == I) return Variant(std::in_place_index<I>, decode_value<Alternative>(reader));
    return decode_alternative<Variant, I + 1>(reader, index);
  }
}

// Only the static type arrives, so an object of a derived class is refused and not cut down.
template <class T>
void check_whole(Writer& writer, const T& value) {
  if constexpr (std::is_polymorphic_v<T>) {
    if (typeid(value) != typeid(T)) throw_sliced(writer.call(), type_name<T>(), typeid(value));
  }
}

template <class Pointer>
void encode_unique(Writer& writer, const Pointer& pointer) {
  encode_bytes(writer, pointer != nullptr);
  if (pointer == nullptr) return;
  using Element = std::remove_cv_t<typename Pointer::element_type>;
  check_whole<Element>(writer, *pointer);
  encode_value<Element>(writer, *pointer);
}

template <class Pointer>
Pointer decode_unique(Reader& reader) {
  if (copy_from_bytes<std::uint8_t>(reader) == 0) return Pointer();
  return Pointer(decode_new<std::remove_cv_t<typename Pointer::element_type>>(reader));
}

// 0: empty. Else the number of the object within the message, from 1; the first one writes it.
template <class Pointer>
void encode_shared(Writer& writer, const Pointer& pointer) {
  using Element = std::remove_cv_t<typename Pointer::element_type>;
  if (pointer == nullptr) return encode_bytes(writer, std::uint32_t{0});
  const auto [number, is_new] = writer.track(pointer.get(), typeid(Element));
  encode_bytes(writer, number + 1);
  if (!is_new) return;
  check_whole<Element>(writer, *pointer);
  encode_value<Element>(writer, *pointer);
  writer.close(number);
}

template <class Pointer>
Pointer decode_shared(Reader& reader) {
  using Element = std::remove_cv_t<typename Pointer::element_type>;
  const auto number = copy_from_bytes<std::uint32_t>(reader);
  auto& shared = reader.shared();
  if (number == 0) return Pointer();
  if (number <= shared.size()) {
    if (shared[number - 1] == nullptr) throw_corrupt(type_name<Pointer>());
    return std::static_pointer_cast<Element>(shared[number - 1]);
  }
  if (number != shared.size() + 1) throw_corrupt(type_name<Pointer>());
  shared.emplace_back();  // its place; objects inside get later ones
  std::shared_ptr<Element> object = decode_new<Element>(reader);
  reader.shared()[number - 1] = object;
  return object;
}

}  // namespace procession::detail
