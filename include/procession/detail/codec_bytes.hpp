// Part of codec.hpp: what travels as its bytes, addresses of code, handles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include "procession/detail/codec.hpp"

namespace procession::detail {

inline constexpr std::size_t message_alignment = 16;

template <class T>
inline constexpr std::size_t wire_alignment = std::min(alignof(T), message_alignment);

// Padding keeps what lay there before, which may look like half of a pointer; compilers that can
// set it to zero do, so that it cannot cause a false alarm. With others (Clang) four bytes of
// padding beside an int can, when by accident they complete it to an address that is mapped.
//
// Not for larger types: behind an array of more than 64 bytes whose elements have padding, GCC 12
// takes the wrong bytes for padding, and clears what is none.
template <class T>
inline constexpr bool padding_can_be_cleared =
#if defined(__clang__)
    false;
#else
    sizeof(T) <= 64;
#endif

template <class T>
requires std::is_trivially_copyable_v<T>
void clear_padding([[maybe_unused]] T* object) noexcept {
#if !defined(__clang__)
  if constexpr (padding_can_be_cleared<T>) __builtin_clear_padding(object);
#endif
}

// A copy of the T whose bytes are next.
template <class T>
T copy_from_bytes(Reader& reader) {
  reader.align(wire_alignment<T>);
  const std::byte* bytes = reader.take(sizeof(T));
  alignas(T) std::byte aligned[alignof(T) > message_alignment ? sizeof(T) : 1];
  if constexpr (alignof(T) > message_alignment) {
    std::memcpy(aligned, bytes, sizeof(T));
    bytes = aligned;
  }
  if constexpr (std::is_copy_constructible_v<T>) {
    return T(*reinterpret_cast<const T*>(bytes));
  } else {
    return T(std::move(*const_cast<T*>(reinterpret_cast<const T*>(bytes))));
  }
}

template <class T>
void encode_bytes(Writer& writer, const T& value) {
  writer.align(wire_alignment<T>);
  writer.write(std::addressof(value), sizeof(T));
}

template <class T>
void encode_scanned(Writer& writer, const T& value) {
  writer.align(wire_alignment<T>);
  std::byte* room = writer.reserve(sizeof(T));
  std::memcpy(room, std::addressof(value), sizeof(T));
  if constexpr (!std::is_union_v<T>) clear_padding(reinterpret_cast<T*>(room));
  scan_value({room, sizeof(T)}, writer, type_name<T>());
}

// A pointer to member function as the Itanium C++ ABI has it: an address or a position in the
// virtual table, and how far `this` is moved. One bit tells them apart; where depends on the CPU.
struct MemberFunctionParts {
  std::uintptr_t function;
  std::ptrdiff_t adjustment;

  bool has_address() const noexcept {
#if defined(__aarch64__) || defined(__arm__)
    return (adjustment & 1) == 0;
#else
    return (function & 1) == 0;
#endif
  }
};

template <class T>
void encode_member_function(Writer& writer, T value) {
  static_assert(sizeof(T) == sizeof(MemberFunctionParts));
  MemberFunctionParts parts;
  std::memcpy(&parts, &value, sizeof parts);
  encode_bytes(writer, parts.adjustment);
  encode_bytes(writer, parts.has_address());
  if (parts.has_address()) {
    write_code(writer, reinterpret_cast<const void*>(parts.function));
  } else {
    encode_bytes(writer, parts.function);
  }
}

template <class T>
T decode_member_function(Reader& reader) {
  reader.require_trust("a pointer to a member function");
  MemberFunctionParts parts{};
  parts.adjustment = copy_from_bytes<std::ptrdiff_t>(reader);
  parts.function = copy_from_bytes<bool>(reader)
                       ? reinterpret_cast<std::uintptr_t>(read_code(reader))
                       : copy_from_bytes<std::uintptr_t>(reader);
  T value;
  std::memcpy(&value, &parts, sizeof parts);
  return value;
}

// A category is an object of static storage duration, the same one in every process.
template <class Code>
void encode_error(Writer& writer, const Code& code) {
  encode_bytes(writer, code.value());
  write_code(writer, std::addressof(code.category()));
}

template <class Code>
Code decode_error(Reader& reader) {
  reader.require_trust("an error code with its category");
  const int value = copy_from_bytes<int>(reader);
  const auto* category = static_cast<const std::error_category*>(read_code(reader));
  if (category == nullptr) throw_corrupt("std::error_code");
  return Code(value, *category);
}

}  // namespace procession::detail
