#include "procession/detail/codec.hpp"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "procession/errors.hpp"
#include "ship/exceptions.hpp"

namespace procession::detail {

void write_size(Writer& writer, std::size_t size) {
  const std::uint64_t wire = size;
  writer.align(alignof(std::uint64_t));
  writer.write(&wire, sizeof wire);
}

namespace {

// Of the calling thread. Decoding may go down to `lowest`; no part of it: 0.
struct Stack {
  std::uintptr_t lowest = 0, begin = 0, end = 0;
  Stack() noexcept {
    if (is_mains()) return;
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    void* from = nullptr;
    std::size_t bytes = 0;
    if (pthread_attr_getstack(&attributes, &from, &bytes) == 0) {
      set(reinterpret_cast<std::uintptr_t>(from) + bytes, bytes);
    }
    pthread_attr_destroy(&attributes);
  }

 private:
  void set(std::uintptr_t top, std::size_t bytes) noexcept {
    end = top;
    begin = top - bytes;
    lowest = begin + bytes / 4;
  }
  // That of main() begins where the kernel puts the program's random bytes, and may be as long as
  // the limit says. To ask glibc costs a reading of /proc/self/maps, in every process.
  bool is_mains() noexcept {
    constexpr std::size_t most = std::size_t{512} << 20;
    rlimit limit{};
    if (getrlimit(RLIMIT_STACK, &limit) != 0) return false;
    const std::size_t bytes = std::min<std::size_t>(limit.rlim_cur, most);
    const std::uintptr_t top = getauxval(AT_RANDOM);
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    if (top < here || top - here >= bytes) return false;
    set(top, bytes);
    return true;
  }
};

}  // namespace

void require_stack() {
  static thread_local const Stack stack;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (here >= stack.lowest || here < stack.begin || here >= stack.end) return;  // or a fibre's
  throw ProcessError(
      "a message holds values within values, more deeply than the stack of this thread allows; "
      "raise the limit of the stack (ulimit -s), or send what is nested as a flat list");
}

std::size_t read_size(Reader& reader, std::size_t least) {
  require_stack();
  std::uint64_t size = 0;
  reader.align(alignof(std::uint64_t));
  std::memcpy(&size, reader.take(sizeof size), sizeof size);
  if (size > reader.left() / least) {
    throw ProcessError("a message names " + std::to_string(size) + " elements, but only " +
                       std::to_string(reader.left()) +
                       " bytes of it are left; sender and receiver were built from different "
                       "code, or the message is damaged");
  }
  return static_cast<std::size_t>(size);
}

void throw_corrupt(std::string_view type) {
  throw ProcessError("a message holds no valid " + std::string(type) +
                     " where one is expected; sender and receiver were built from different code, "
                     "or the message is damaged");
}

void throw_sliced(std::string_view call, std::string_view declared, const std::type_info& actual) {
  throw NotShippable(std::string(call) + ": a smart pointer to " + std::string(declared) +
                     " holds an object of the derived class " + readable_type(actual) +
                     ", of which only the base would arrive; use a std::variant of the classes");
}

void throw_valueless(std::string_view call, std::string_view type) {
  throw NotShippable(std::string(call) + ": the " + std::string(type) +
                     " has lost its value to an exception; assign one before sending it");
}

void prepare_large_copy(void* data, std::size_t bytes) noexcept {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(data) + page - 1) & ~(page - 1);
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(data) + bytes) & ~(page - 1);
  // Refused where the kernel has no huge pages; the copy is then as slow as it was.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

void write_handle(Writer& writer, Object* object) {
  writer.align(alignof(Object*));
  writer.write(&object, sizeof object);
  if (object != nullptr) writer.add_handle(object);
}

Object* read_handle(Reader& reader) {
  reader.require_trust("a handle");
  Object* object = nullptr;
  reader.align(alignof(Object*));
  std::memcpy(&object, reader.take(sizeof object), sizeof object);
  if (object != nullptr && object_at(object) != object) throw_corrupt("handle");
  return object;
}

}  // namespace procession::detail
