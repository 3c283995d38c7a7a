// Bytes on their way to another process.
//
// A Writer collects the bytes of one message: small ones in a scratch buffer of the thread, larger
// ones straight in a block of the family memory, so that a large vector is copied once. finish()
// gives the block. A Reader walks the bytes in place; what it returns is valid as long as the
// block.
//
// Example:
//   Writer writer("Pool::apply", sizeof(Header));
//   encode(writer, value);                       // codec.hpp
//   const std::size_t size = writer.size();      // finish() empties the writer
//   auto* header = new (writer.finish()) Header{...};
//   Reader reader(reinterpret_cast<std::byte*>(header), size, sizeof(Header));
//   auto copy = decode<T>(reader);
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "procession/detail/memory.hpp"

namespace procession::detail {

// Not thread-safe; one message each. Encoding inside an encoding (a serialize() that itself makes
// a call) gets a scratch buffer of its own.
class Writer {
 public:
  // `call` is named in a NotShippable ("Pool::apply") and must outlive the writer. The first
  // `prefix` bytes of the block are left for the caller; they count towards alignment, and are
  // zero. Throws OutOfMemory if the prefix does not fit the scratch buffer.
  explicit Writer(std::string_view call, std::size_t prefix = 0);
  ~Writer();  // frees what was not finished
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // These three throw OutOfMemory; the message is then still whole, without the new bytes.
  void write(const void* data, std::size_t bytes) {
    if (bytes != 0) std::memcpy(reserve(bytes), data, bytes);
  }
  void align(std::size_t alignment) {  // up to 16: pads with zero bytes
    const std::size_t padding = (alignment - size_ % alignment) % alignment;
    if (padding != 0) std::memset(reserve(padding), 0, padding);
  }
  std::byte* reserve(std::size_t bytes) {  // room to fill in, valid until the next call
    if (bytes > capacity_ - size_) grow(bytes);
    std::byte* room = data_ + size_;
    size_ += bytes;
    return room;
  }

  void add_handle(Object* object);                     // the finished block carries a reference
  std::size_t size() const noexcept { return size_; }  // prefix included
  // What is written so far, valid until the next call.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  bool has_handles() const noexcept { return !handles_.empty(); }
  std::string_view call() const noexcept { return call_; }

  // The first shared_ptr to an object writes it, later ones refer to it. Returns the number of
  // `pointer` and whether it is new. Two types at one address (a struct and its first member)
  // are two objects. Throws NotShippable for an object that contains itself: until close(number)
  // the object is being written.
  std::pair<std::uint32_t, bool> track(const void* pointer, const std::type_info& type);
  void close(std::uint32_t number) noexcept;

  // The modules that the message refers to, for the check that the receiver has loaded them.
  void add_module(std::uint32_t module);
  const std::vector<std::uint32_t>& modules() const noexcept { return modules_; }

  // The block, owned by this process. The writer is empty afterwards. Throws OutOfMemory.
  [[nodiscard]] void* finish();

 private:
  struct Scratch;
  struct Tracked;
  void grow(std::size_t bytes);
  std::string_view call_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool in_block_ = false;  // data_ is a block, not the scratch buffer
  Scratch* scratch_ = nullptr;
  std::vector<Object*> handles_;
  std::vector<std::uint32_t> modules_;
  std::unique_ptr<Tracked> tracked_;
};

[[noreturn]] void throw_truncated(std::size_t wanted, std::size_t left);
[[noreturn]] void throw_from_stranger(const char* what);

// Not thread-safe. Reading past the end throws ProcessError: the message was made by other code.
class Reader {
 public:
  // `data` is 16-byte aligned, as a block is, and starts with the Writer's prefix.
  Reader(const std::byte* data, std::size_t bytes, std::size_t prefix = 0) noexcept
      : data_(data), end_(bytes), at_(prefix < bytes ? prefix : bytes) {}

  const std::byte* take(std::size_t bytes) {
    if (bytes > left()) throw_truncated(bytes, left());
    const std::byte* taken = data_ + at_;
    at_ += bytes;
    return taken;
  }
  void align(std::size_t alignment) { take((alignment - at_ % alignment) % alignment); }
  std::size_t left() const noexcept { return end_ - at_; }

  // The bytes may be anybody's: what refers to memory of the family, or to code, is refused.
  void distrust() noexcept { trusted_ = false; }
  void require_trust(const char* what) const {
    if (!trusted_) throw_from_stranger(what);
  }
  std::vector<std::shared_ptr<void>>& shared() noexcept { return shared_; }

 private:
  const std::byte* data_;
  std::size_t end_;
  std::size_t at_;  // prefix included, as in the Writer
  bool trusted_ = true;
  std::vector<std::shared_ptr<void>> shared_;
};

}  // namespace procession::detail
