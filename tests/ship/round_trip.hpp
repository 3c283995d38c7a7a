// A value through a message and back, in one process.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "procession/detail/codec.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/stream.hpp"
#include "procession/errors.hpp"

namespace procession::detail {

struct FreeBlock {
  void operator()(void* block) const noexcept { deallocate(block); }
};

// A finished message, freed with it.
struct Message {
  static constexpr std::size_t prefix = 24;  // not a multiple of 16: alignment must allow it
  explicit Message(Writer& writer) : size(writer.size()), block(writer.finish()) {}
  Reader reader() const { return reader(size); }
  Reader reader(std::size_t bytes) const {
    return {static_cast<const std::byte*>(block.get()), bytes, prefix};
  }
  std::size_t size;
  std::unique_ptr<void, FreeBlock> block;
};

template <class T>
Message encoded(const T& value) {
  Writer writer("Test::send", Message::prefix);
  encode(writer, value);
  return Message(writer);
}

template <class T>
T round_trip(const T& value) {
  const Message message = encoded(value);
  Reader reader = message.reader();
  T copy = decode<T>(reader);
  if (reader.left() != 0) throw ProcessError("bytes are left over");
  return copy;
}

template <class F>
Message encoded_callable(const F& callable) {
  Writer writer("Test::send", Message::prefix);
  encode_callable(writer, callable);
  return Message(writer);
}

template <class F>
F round_trip_callable(const F& callable) {
  const Message message = encoded_callable(callable);
  Reader reader = message.reader();
  return decode_callable<F>(reader);
}

}  // namespace procession::detail
