// Part of codec.hpp: strings and containers. Each begins with the number of its elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "procession/detail/codec.hpp"
#include "procession/detail/codec_bytes.hpp"

namespace procession::detail {

// An element takes a byte at least, so that a number of elements can be checked against what is
// left of the message before anything is allocated for it.
template <class T>
void encode_element(Writer& writer, const T& element) {
  const std::size_t before = writer.size();
  encode_value(writer, element);
  if constexpr (shape_of<T> != Shape::Bytes) {
    if (writer.size() == before) writer.write("", 1);
  }
}

template <class T>
T decode_element(Reader& reader) {
  if constexpr (shape_of<T> == Shape::Bytes) {
    return copy_from_bytes<T>(reader);
  } else {
    const std::size_t before = reader.left();
    T element = decode_value<T>(reader);
    if (reader.left() == before) reader.take(1);
    return element;
  }
}

// Room for elements that are certain to come, or nearly: at most 16 bytes for each byte of the
// message, whatever number a damaged one names.
template <class Container>
void reserve_for(Container& container, std::size_t size, const Reader& reader) {
  if constexpr (requires { container.reserve(size); }) {
    using Element = typename Container::value_type;
    container.reserve(std::min(size, 16 * reader.left() / sizeof(Element) + 1));
  }
}

// Contiguous elements that are one copy. REQUIRES: shape Bytes.
template <class T>
void encode_contiguous(Writer& writer, const T* data, std::size_t size) {
  write_size(writer, size);
  writer.align(wire_alignment<T>);
  writer.write(data, size * sizeof(T));
}

template <class Container>
Container decode_contiguous(Reader& reader) {
  using Element = typename Container::value_type;
  const std::size_t size = read_size(reader, sizeof(Element));
  reader.align(wire_alignment<Element>);
  const std::byte* bytes = reader.take(size * sizeof(Element));
  if constexpr (alignof(Element) <= message_alignment) {
    const auto* first = reinterpret_cast<const Element*>(bytes);
    if (size * sizeof(Element) < large_copy) return Container(first, first + size);
    Container container;
    container.reserve(size);
    prepare_large_copy(container.data(), size * sizeof(Element));
    container.assign(first, first + size);
    return container;
  } else {
    Container container(size);
    if (size != 0) std::memcpy(static_cast<void*>(container.data()), bytes, size * sizeof(Element));
    return container;
  }
}

template <class T>
inline constexpr bool is_contiguous = shape_of<T> == Shape::String ||
                                      (shape_of<T> == Shape::Vector &&
                                       shape_of<typename T::value_type> == Shape::Bytes &&
                                       std::is_copy_constructible_v<typename T::value_type>);

template <class Container>
void encode_sequence(Writer& writer, const Container& container) {
  if constexpr (requires { container.size(); }) {
    write_size(writer, container.size());
  } else {
    write_size(writer, static_cast<std::size_t>(std::distance(container.begin(), container.end())));
  }
  for (const auto& element : container) encode_element(writer, element);
}

template <class Container>
Container decode_sequence(Reader& reader) {
  const std::size_t size = read_size(reader);
  Container container;
  reserve_for(container, size, reader);
  for (std::size_t i = 0; i < size; ++i) {
    container.push_back(decode_element<typename Container::value_type>(reader));
  }
  return container;
}

template <class Container>
Container decode_forward_list(Reader& reader) {
  const std::size_t size = read_size(reader);
  Container container;
  auto last = container.before_begin();
  for (std::size_t i = 0; i < size; ++i) {
    last = container.insert_after(last, decode_element<typename Container::value_type>(reader));
  }
  return container;
}

template <class Container>
void encode_bits(Writer& writer, const Container& bits) {
  write_size(writer, bits.size());
  std::uint8_t byte = 0;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    byte = static_cast<std::uint8_t>(byte | int{bits[i]} << i % 8);
    if (i % 8 == 7 || i + 1 == bits.size()) {
      writer.write(&byte, 1);
      byte = 0;
    }
  }
}

template <class Container>
Container decode_bits(Reader& reader) {
  const auto size = copy_from_bytes<std::uint64_t>(reader);
  if (size / 8 > reader.left()) throw_truncated(size / 8, reader.left());
  const std::byte* bytes = reader.take((size + 7) / 8);
  Container bits(size);
  for (std::size_t i = 0; i < size; ++i) {
    bits[i] = (bytes[i / 8] & std::byte{1} << i % 8) != std::byte{0};
  }
  return bits;
}

template <class Map>
void encode_map(Writer& writer, const Map& map) {
  write_size(writer, map.size());
  for (const auto& [key, value] : map) {
    encode_element(writer, key);
    encode_element(writer, value);
  }
}

template <class Map>
Map decode_map(Reader& reader) {
  const std::size_t size = read_size(reader, 2);
  Map map;
  reserve_for(map, size, reader);
  for (std::size_t i = 0; i < size; ++i) {
    auto key = decode_element<typename Map::key_type>(reader);
    map.emplace_hint(map.end(), std::move(key), decode_element<typename Map::mapped_type>(reader));
  }
  return map;
}

template <class Set>
Set decode_set(Reader& reader) {
  const std::size_t size = read_size(reader);
  Set set;
  reserve_for(set, size, reader);
  for (std::size_t i = 0; i < size; ++i) {
    set.emplace_hint(set.end(), decode_element<typename Set::key_type>(reader));
  }
  return set;
}

// std::array, whose elements need not be default-constructible unless there are many.
template <class Array, std::size_t... I>
Array decode_array_in_place(Reader& reader, std::index_sequence<I...>) {
  return Array{{(static_cast<void>(I), decode_value<typename Array::value_type>(reader))...}};
}

template <class Array>
Array decode_array(Reader& reader) {
  constexpr std::size_t size = std::tuple_size_v<Array>;
  if constexpr (size == 0) {
    return Array{};
  } else if constexpr (size <= 64 || !std::is_default_constructible_v<Array>) {
    return decode_array_in_place<Array>(reader, std::make_index_sequence<size>());
  } else {
    Array array{};
    for (auto& element : array) decode_into(reader, element);
    return array;
  }
}

}  // namespace procession::detail
