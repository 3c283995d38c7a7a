// Bytes on their way to another process.
//
// A Writer collects the bytes of one message: small ones in a scratch buffer of the thread, larger
// ones straight in a block of the family memory, so that a large vector is copied once. finish()
// gives the block. A Reader walks the bytes in place; what it returns is valid as long as the block.
//
// Example:
//   Writer writer("Pool::apply", sizeof(Header));
//   encode(writer, value);                       // codec.hpp
//   auto* header = new (writer.finish()) Header{...};
//   Reader reader(reinterpret_cast<std::byte*>(header + 1), size);
//   auto copy = decode<T>(reader);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "procession/detail/memory.hpp"

namespace procession::detail {

// Not thread-safe; one message each. Encoding inside an encoding (a serialize() that itself makes
// a call) gets a scratch buffer of its own.
class Writer {
 public:
  // `call` is named in a NotShippable ("Pool::apply"). The first `prefix` bytes of the block are
  // left for the caller; they count towards alignment, and are zero.
  explicit Writer(std::string_view call, std::size_t prefix = 0);
  ~Writer();                                     // frees what was not finished
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void write(const void* data, std::size_t bytes);
  void align(std::size_t alignment);             // up to 16: pads with zero bytes
  std::byte* reserve(std::size_t bytes);         // room to fill in, valid until the next call
  void add_handle(Object* object);               // the finished block carries a reference
  std::size_t size() const noexcept { return size_; }            // prefix included
  std::string_view call() const noexcept { return call_; }

  // The first shared_ptr to an object writes it, later ones refer to it. Returns the number of
  // `pointer` and whether it is new.
  std::pair<std::uint32_t, bool> track(const void* pointer);

  // The block, owned by this process. The writer is empty afterwards. Throws OutOfMemory.
  [[nodiscard]] void* finish();

 private:
  struct Scratch;
  void grow(std::size_t bytes);
  std::string_view call_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool in_block_ = false;
  Scratch* scratch_ = nullptr;
  std::vector<Object*> handles_;
  std::vector<const void*> tracked_;
};

// Not thread-safe. Reading past the end throws ProcessError: the message was made by other code.
class Reader {
 public:
  Reader(const std::byte* data, std::size_t bytes, std::size_t prefix = 0) noexcept
      : data_(data), end_(bytes), at_(prefix) {}
  const std::byte* take(std::size_t bytes);
  void align(std::size_t alignment);
  std::size_t left() const noexcept { return end_ - at_; }
  std::vector<std::shared_ptr<void>>& shared() noexcept { return shared_; }

 private:
  const std::byte* data_;                        // aligned as the block is
  std::size_t end_;
  std::size_t at_;                               // prefix included, as in the Writer
  std::vector<std::shared_ptr<void>> shared_;
};

}  // namespace procession::detail
