// Part of codec.hpp: types with functions for cereal, and plain aggregates.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "procession/detail/archive.hpp"
#include "procession/detail/codec.hpp"

namespace procession::detail {

namespace styles {

// As in archive.hpp: no function here may have the name of one that users write.
template <class T, class... Version>
void call_save(OutputArchive& archive, const T& value, Version... version) {
  using enum cereal::specialization;
  using cereal::access;
  constexpr auto way = serialize_style<T>.way;
  if constexpr (way == member_serialize) {
    access::member_serialize(archive, const_cast<T&>(value), version...);
  } else if constexpr (way == member_load_save) {
    access::member_save(archive, value, version...);
  } else if constexpr (way == member_load_save_minimal) {
    archive(access::member_save_minimal(std::as_const(archive), value, version...));
  } else if constexpr (way == non_member_serialize) {
    serialize(archive, const_cast<T&>(value), version...);
  } else if constexpr (way == non_member_load_save) {
    save(archive, value, version...);
  } else {
    archive(save_minimal(std::as_const(archive), value, version...));
  }
}

template <class T, class... Version>
void call_load(InputArchive& archive, T& value, Version... version) {
  using enum cereal::specialization;
  using cereal::access;
  constexpr auto way = serialize_style<T>.way;
  if constexpr (way == member_serialize) {
    access::member_serialize(archive, value, version...);
  } else if constexpr (way == member_load_save) {
    access::member_load(archive, value, version...);
  } else if constexpr (way == member_load_save_minimal) {
    using Saved = std::remove_cvref_t<decltype(access::member_save_minimal(
        std::declval<const OutputArchive&>(), std::as_const(value), version...))>;
    Saved saved{};
    archive(saved);
    access::member_load_minimal(std::as_const(archive), value, std::as_const(saved), version...);
  } else if constexpr (way == non_member_serialize) {
    serialize(archive, value, version...);
  } else if constexpr (way == non_member_load_save) {
    load(archive, value, version...);
  } else {
    using Saved = std::remove_cvref_t<decltype(save_minimal(std::declval<const OutputArchive&>(),
                                                            std::as_const(value), version...))>;
    Saved saved{};
    archive(saved);
    load_minimal(std::as_const(archive), value, std::as_const(saved), version...);
  }
}

}  // namespace styles

// A version, as CEREAL_CLASS_VERSION gives it, is written before the value.
template <class T>
void encode_serialized(Writer& writer, const T& value) {
  OutputArchive archive(writer);
  if constexpr (serialize_style<T>.versioned) {
    const std::uint32_t version = cereal::detail::Version<T>::version;
    encode_value(writer, version);
    styles::call_save(archive, value, version);
  } else {
    styles::call_save(archive, value);
  }
}

template <class T>
void decode_serialized(Reader& reader, T& value) {
  InputArchive archive(reader);
  if constexpr (serialize_style<T>.versioned) {
    const auto version = decode_value<std::uint32_t>(reader);
    styles::call_load(archive, value, version);
  } else {
    styles::call_load(archive, value);
  }
}

template <class T>
T* make_default() {
  if constexpr (std::is_default_constructible_v<T>) {
    return new T();
  } else {
    return cereal::access::construct<T>();  // a private one
  }
}

// A new T. One with serialize() is filled where it stays and need not be movable.
template <class T>
std::unique_ptr<T> decode_new(Reader& reader) {
  require_stack();
  if constexpr (shape_of<T> == Shape::Serialize) {
    std::unique_ptr<T> value(make_default<T>());
    decode_serialized(reader, *value);
    return value;
  } else {
    return std::unique_ptr<T>(new T(decode_value<T>(reader)));
  }
}

template <class T>
T decode_serialized_value(Reader& reader) {
  if constexpr (std::is_default_constructible_v<T>) {
    T value = T();
    decode_serialized(reader, value);
    return value;
  } else {
    return std::move(*decode_new<T>(reader));
  }
}

template <class T>
void encode_aggregate(Writer& writer, const T& value) {
  std::apply([&](const auto&... field) { (encode_value(writer, field), ...); }, tie_fields(value));
}

template <class T, class... Fields>
T decode_aggregate(Reader& reader, const std::tuple<Fields...>*) {
  if constexpr ((std::is_array_v<std::remove_reference_t<Fields>> || ...)) {
    T value{};  // an array cannot be returned by a function
    std::apply([&](auto&... field) { (decode_into(reader, field), ...); }, tie_fields(value));
    return value;
  } else {
    return T{decode_value<std::remove_cvref_t<Fields>>(reader)...};
  }
}

template <class T>
void OutputArchive::process(const T& value) {
  encode(writer_, value);
}

template <class Base>
void OutputArchive::process(const cereal::base_class<Base>& base) {
  if constexpr (serialize_style<Base>.ways == 1) {
    encode_serialized(writer_, *base.base_ptr);
  } else {
    encode(writer_, *base.base_ptr);
  }
}

template <class Base>
void OutputArchive::process(const cereal::virtual_base_class<Base>& base) {
  process(cereal::base_class<Base>(base.base_ptr));
}

template <class T>
void InputArchive::process(T& value) {
  assert_shippable<T>();
  if constexpr (shippable_value<T>) decode_into(reader_, value);
}

template <class Base>
void InputArchive::process(cereal::base_class<Base>& base) {
  if constexpr (serialize_style<Base>.ways == 1) {
    decode_serialized(reader_, *base.base_ptr);
  } else {
    decode_into(reader_, *base.base_ptr);
  }
}

template <class Base>
void InputArchive::process(cereal::virtual_base_class<Base>& base) {
  cereal::base_class<Base> plain(base.base_ptr);
  process(plain);
}

}  // namespace procession::detail
