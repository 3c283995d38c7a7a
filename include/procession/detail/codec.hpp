// Values to bytes and back.
//
//   encode(writer, value);                         // throws NotShippable, OutOfMemory, what a
//                                                  // user's serialize throws
//   T value = decode<T>(reader);                   // ProcessError: the bytes are not a T
//
// Both sides run the same program or libraries, so nothing about the type is written. A type with
// pointers does not compile (shippable.hpp). Trivially copyable values lie aligned in the message,
// contiguous ranges of them are one copy. Identity of shared_ptr is kept within one message.
// Encoding the same value twice gives the same bytes. Thread-safe as far as the value is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "procession/detail/shippable.hpp"
#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"

namespace procession::detail {

template <class T>
void encode_value(Writer& writer, const T& value);
template <class T>
[[nodiscard]] T decode_value(Reader& reader);
template <class T>
void decode_into(Reader& reader, T& value);

template <class T>
void encode(Writer& writer, const T& value) {
  assert_shippable<T>();
  if constexpr (shippable_value<T>) encode_value(writer, value);
}

// T may be move-only. A type with serialize() or load() needs a default constructor, private with
// cereal::access as its friend if it likes.
template <class T>
[[nodiscard]] T decode(Reader& reader) {
  assert_shippable<T>();
  if constexpr (shippable_value<T>) {
    return decode_value<T>(reader);
  } else {
    __builtin_unreachable();  // the assertion has said why
  }
}

// callable.hpp
template <class F>
void encode_callable(Writer& writer, const F& callable);
template <class F>
[[nodiscard]] F decode_callable(Reader& reader);

// src/ship/codec.cpp: what the templates have in common, out of line.
void write_size(Writer& writer, std::size_t size);
// Throws ProcessError when values are nested so deeply that most of the stack is used. Called for
// whatever a type can hold itself by.
void require_stack();
// Throws ProcessError unless so many elements, each of `least` bytes or more, can follow; and as
// require_stack() does.
[[nodiscard]] std::size_t read_size(Reader& reader, std::size_t least = 1);
[[noreturn]] void throw_corrupt(std::string_view type);
[[noreturn]] void throw_sliced(std::string_view call, std::string_view declared,
                               const std::type_info& actual);
[[noreturn]] void throw_valueless(std::string_view call, std::string_view type);
void write_handle(Writer& writer, Object* object);
[[nodiscard]] Object* read_handle(Reader& reader);

// Before `bytes` of fresh memory at `data` are written: asks for huge pages, because most of the
// time that a large copy takes goes into page faults. A hint.
inline constexpr std::size_t large_copy = std::size_t{4} << 20;
void prepare_large_copy(void* data, std::size_t bytes) noexcept;

// Looks at every aligned word of bytes copied from a `type`: pointer_scan.hpp in src/ship.
void scan_callable(std::span<const std::byte> bytes, Writer& writer, std::string_view type);
void scan_value(std::span<const std::byte> bytes, Writer& writer, std::string_view type);

}  // namespace procession::detail

#include "procession/detail/callable.hpp"
#include "procession/detail/codec_bytes.hpp"
#include "procession/detail/codec_containers.hpp"
#include "procession/detail/codec_dispatch.hpp"
#include "procession/detail/codec_serialize.hpp"
#include "procession/detail/codec_sums.hpp"
