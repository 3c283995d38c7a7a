#include "ship/pointer_scan.hpp"

#include <cstdint>
#include <cstring>
#include <string>

#include "procession/detail/codec.hpp"
#include "procession/detail/memory.hpp"
#include "procession/errors.hpp"
#include "system/proc.hpp"

namespace procession::detail {

namespace {

// No program has anything mapped below (vm.mmap_min_addr) or above (the end of user space).
constexpr std::uintptr_t lowest_address = 65536;
#if defined(__x86_64__)
constexpr std::uintptr_t highest_address = std::uintptr_t{1} << 47;
#else
constexpr std::uintptr_t highest_address = std::uintptr_t{1} << 48;
#endif

[[noreturn]] void refuse(std::size_t word, const void* address, const Writer& writer,
                         std::string_view type, ScanSubject subject) {
  const bool callable = subject == ScanSubject::Callable;
  std::string text(writer.call());
  text += callable ? ": the callable " : ": the value of type ";
  text += type;
  text += callable ? " captured, in its word " : " holds, in its word ";
  text += std::to_string(word) + " (bytes " + std::to_string(word * sizeof(void*)) + " to " +
          std::to_string((word + 1) * sizeof(void*) - 1) + "), an address in " +
          describe_address(address);
  text += callable
              ? ": a capture by reference or a string/vector captured by value cannot travel to "
                "another process; capture values or handles, or bind values with mp::bind_front"
              : ": a pointer cannot travel to another process; give the type a serialize() member, "
                "or send values or handles in its place";
  throw NotShippable(text);
}

}  // namespace

void scan_for_pointers(std::span<const std::byte> bytes, Writer& writer, std::string_view type,
                       ScanSubject subject) {
  for (std::size_t word = 0; (word + 1) * sizeof(void*) <= bytes.size(); ++word) {
    std::uintptr_t value = 0;
    std::memcpy(&value, bytes.data() + word * sizeof value, sizeof value);
    if (value < lowest_address || value >= highest_address) continue;
    const auto* address = reinterpret_cast<const void*>(value);
    if (Object* object = in_family(address) ? object_at(address) : nullptr) {
      writer.add_handle(object);
    } else if (mapped(address)) {
      refuse(word, address, writer, type, subject);
    }
  }
}

void scan_callable(std::span<const std::byte> bytes, Writer& writer, std::string_view type) {
  scan_for_pointers(bytes, writer, type, ScanSubject::Callable);
}

void scan_value(std::span<const std::byte> bytes, Writer& writer, std::string_view type) {
  scan_for_pointers(bytes, writer, type, ScanSubject::Value);
}

}  // namespace procession::detail
