// What the two halves of the transport of exceptions share: exceptions.cpp writes and reads the
// message, exception_types.cpp knows the payload of each type of the library and of libstdc++.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "procession/detail/exceptions.hpp"
#include "procession/detail/remote_info.hpp"
#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"

namespace procession::detail {

// The name of this process for the head of a traceback. The process layer, which knows it, gives
// a function that may be called from any thread; until then processes are named by pid alone.
void set_process_name_source(std::string (*name_of_this_process)()) noexcept;

// "std::out_of_range", without the inline namespaces and ABI tags of the library.
[[nodiscard]] std::string readable_type(const std::type_info& type);

// The node whose E, Rebuilt<E> or nested E is `type`; null when it cannot be rebuilt. A name that
// two different types of this program share (anonymous namespaces) belongs to neither.
[[nodiscard]] const ExceptionType* find_exception_type(const std::type_info& type);
[[nodiscard]] const ExceptionType* find_exception_type(std::string_view mangled_name);

// The types of the library and of libstdc++.
[[nodiscard]] const ExceptionType* find_builtin_type(const std::type_info& type);
[[nodiscard]] const ExceptionType* find_builtin_type(std::string_view mangled_name);

// What the caller knows; the text of the traceback is made from it on demand.
struct RemoteTrace final : RemoteOrigin {
  using RemoteOrigin::RemoteOrigin;
  std::string traceback() const override;

  std::string process_name;
  std::vector<CodeAddress> frames;  // innermost first
  std::string nested;               // "caused by ..." lines
};

// Numbers and strings as this message has them: unaligned, because most of it is text.
template <class T>
requires std::is_arithmetic_v<T>
void put(Writer& writer, T value) { writer.write(&value, sizeof value); }

inline void put(Writer& writer, std::string_view text) {
  put(writer, std::uint64_t{text.size()});
  if (!text.empty()) writer.write(text.data(), text.size());
}

template <class T>
requires std::is_arithmetic_v<T> T take(Reader& reader) {
  T value;
  std::memcpy(&value, reader.take(sizeof value), sizeof value);
  return value;
}

inline std::string take_string(Reader& reader) {
  const auto size = take<std::uint64_t>(reader);
  return {reinterpret_cast<const char*>(reader.take(size)), size};
}

}  // namespace procession::detail
