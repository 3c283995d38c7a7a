// Part of codec.hpp: from the shape of a type to the functions that send it.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>

#include "procession/detail/codec.hpp"
#include "procession/detail/codec_bytes.hpp"
#include "procession/detail/codec_containers.hpp"
#include "procession/detail/codec_serialize.hpp"
#include "procession/detail/codec_sums.hpp"

namespace procession::detail {

template <class T>
void encode_container(Writer& writer, const T& value) {
  constexpr Shape shape = shape_of<T>;
  if constexpr (shape == Shape::Path) {
    encode_value(writer, value.native());
  } else if constexpr (shape == Shape::BoolVector) {
    encode_bits(writer, value);
  } else if constexpr (shape == Shape::Map) {
    encode_map(writer, value);
  } else if constexpr (shape == Shape::Array) {
    for (const auto& element : value) encode_value(writer, element);
  } else if constexpr (is_contiguous<T>) {
    encode_contiguous(writer, value.data(), value.size());
  } else {
    encode_sequence(writer, value);
  }
}

template <class T>
T decode_container(Reader& reader) {
  constexpr Shape shape = shape_of<T>;
  if constexpr (shape == Shape::Path) {
    return T(decode_value<typename T::string_type>(reader));
  } else if constexpr (shape == Shape::BoolVector) {
    return decode_bits<T>(reader);
  } else if constexpr (shape == Shape::Map) {
    return decode_map<T>(reader);
  } else if constexpr (shape == Shape::Set) {
    return decode_set<T>(reader);
  } else if constexpr (shape == Shape::Array) {
    return decode_array<T>(reader);
  } else if constexpr (shape == Shape::ForwardList) {
    return decode_forward_list<T>(reader);
  } else if constexpr (is_contiguous<T>) {
    return decode_contiguous<T>(reader);
  } else {
    return decode_sequence<T>(reader);
  }
}

template <class T>
void encode_value(Writer& writer, const T& value) {
  constexpr Shape shape = shape_of<T>;
  if constexpr (shape == Shape::Bytes || shape == Shape::MemberObject) {
    encode_bytes(writer, value);
  } else if constexpr (shape == Shape::Scanned) {
    encode_scanned(writer, value);
  } else if constexpr (shape == Shape::Function) {
    write_code(writer, reinterpret_cast<const void*>(value));
  } else if constexpr (shape == Shape::MemberFunction) {
    encode_member_function(writer, value);
  } else if constexpr (shape == Shape::Closure || shape == Shape::BindFront) {
    encode_callable(writer, value);
  } else if constexpr (shape == Shape::Handle) {
    write_handle(writer, value.handle_object());
  } else if constexpr (shape == Shape::ErrorCode) {
    encode_error(writer, value);
  } else if constexpr (shape == Shape::Serialize) {
    encode_serialized(writer, value);
  } else if constexpr (shape == Shape::Aggregate) {
    encode_aggregate(writer, value);
  } else if constexpr (shape == Shape::CArray) {
    for (const auto& element : value) encode_value(writer, element);
  } else if constexpr (shape == Shape::Tuple) {
    encode_tuple(writer, value);
  } else if constexpr (shape == Shape::Optional) {
    encode_optional(writer, value);
  } else if constexpr (shape == Shape::Variant) {
    encode_variant(writer, value);
  } else if constexpr (shape == Shape::UniquePtr) {
    encode_unique(writer, value);
  } else if constexpr (shape == Shape::SharedPtr) {
    encode_shared(writer, value);
  } else {
    static_assert(shape != Shape::None, "REQUIRES: shippable_value<T>");
    encode_container(writer, value);
  }
}

template <class T>
T decode_value(Reader& reader) {
  constexpr Shape shape = shape_of<T>;
  static_assert(shape != Shape::CArray, "arrays are read in place, by decode_into");
  if constexpr (shape == Shape::Bytes || shape == Shape::MemberObject || shape == Shape::Scanned) {
    return copy_from_bytes<T>(reader);
  } else if constexpr (shape == Shape::Function) {
    reader.require_trust("the address of a function");
    return reinterpret_cast<T>(read_code(reader));
  } else if constexpr (shape == Shape::MemberFunction) {
    return decode_member_function<T>(reader);
  } else if constexpr (shape == Shape::Closure || shape == Shape::BindFront) {
    return decode_callable<T>(reader);
  } else if constexpr (shape == Shape::Handle) {
    return T::from_object(read_handle(reader));
  } else if constexpr (shape == Shape::ErrorCode) {
    return decode_error<T>(reader);
  } else if constexpr (shape == Shape::Serialize) {
    return decode_serialized_value<T>(reader);
  } else if constexpr (shape == Shape::Aggregate) {
    return decode_aggregate<T>(reader, static_cast<const FieldTypes<T>*>(nullptr));
  } else if constexpr (shape == Shape::Tuple) {
    return decode_tuple<T>(reader, parts_of<T>());
  } else if constexpr (shape == Shape::Optional) {
    return decode_optional<T>(reader);
  } else if constexpr (shape == Shape::Variant) {
    return decode_alternative<T>(reader, copy_from_bytes<std::uint32_t>(reader));
  } else if constexpr (shape == Shape::UniquePtr) {
    return decode_unique<T>(reader);
  } else if constexpr (shape == Shape::SharedPtr) {
    return decode_shared<T>(reader);
  } else {
    return decode_container<T>(reader);
  }
}

// Over a value that is there already: the members that a user's load() reads.
template <class T>
void decode_into(Reader& reader, T& value) {
  constexpr Shape shape = shape_of<T>;
  if constexpr (shape == Shape::Bytes) {
    reader.align(wire_alignment<T>);
    std::memcpy(static_cast<void*>(std::addressof(value)), reader.take(sizeof(T)), sizeof(T));
  } else if constexpr (shape == Shape::CArray) {
    for (auto& element : value) decode_into(reader, element);
  } else if constexpr (shape == Shape::Serialize) {
    decode_serialized(reader, value);
  } else {
    value = decode_value<T>(reader);
  }
}

}  // namespace procession::detail
