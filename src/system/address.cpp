// Where in this process an address lies.
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "system/proc.hpp"

namespace procession::detail {
namespace {

struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool shared = false;
  std::string name;  // a path, "[heap]" and the like, or empty
};

std::optional<Mapping> parse_mapping(const std::string& line) {
  Mapping mapping;
  char rights[5] = {};
  int name_at = 0;
  if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n", &mapping.begin,
                  &mapping.end, rights, &name_at) < 3) {
    return std::nullopt;
  }
  mapping.shared = rights[3] == 's';
  if (name_at > 0) mapping.name = line.substr(static_cast<std::size_t>(name_at));
  return mapping;
}

std::optional<Mapping> find_mapping(std::uintptr_t address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    auto mapping = parse_mapping(line);
    if (mapping && address >= mapping->begin && address < mapping->end) return mapping;
  }
  return std::nullopt;
}

// Stacks of threads are nameless mappings like any other; this thread's own is known.
bool on_own_stack(std::uintptr_t address) {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return false;
  void* lowest = nullptr;
  std::size_t size = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  ::pthread_attr_destroy(&attributes);
  return known && address - reinterpret_cast<std::uintptr_t>(lowest) < size;
}

std::string in_parentheses(const std::string& path) {
  return " (" + std::filesystem::path(path).filename().string() + ")";
}

// Asks the loader rather than the mappings: zero-initialised data is mapped without a name.
std::optional<std::string> describe_image(std::uintptr_t address) {
  struct Search {
    std::uintptr_t address;
    std::optional<std::string> image;  // empty text: the program itself
  } search{address, std::nullopt};
  const auto look = [](dl_phdr_info* image, std::size_t, void* argument) {
    auto& wanted = *static_cast<Search*>(argument);
    for (int i = 0; i < image->dlpi_phnum; ++i) {
      const auto& segment = image->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD) continue;
      if (wanted.address - (image->dlpi_addr + segment.p_vaddr) >= segment.p_memsz) continue;
      wanted.image = image->dlpi_name;
      return 1;
    }
    return 0;
  };
  ::dl_iterate_phdr(look, &search);
  if (!search.image) return std::nullopt;
  if (!search.image->empty()) return "a loaded library" + in_parentheses(*search.image);
  std::error_code ignored;
  return "the program's own image" +
         in_parentheses(std::filesystem::read_symlink("/proc/self/exe", ignored).string());
}

// Below this no program has anything mapped, unless the administrator lowered vm.mmap_min_addr.
constexpr std::uintptr_t lowest_mapping = 4096;

// Where the sanitizers keep their shadow on x86-64. ThreadSanitizer's versions divide what lies
// between the lowest 512 GiB and the programs differently, and none has anything of the program
// there; the gaps between its parts are mapped, too, without any rights.
constexpr bool in_sanitizer_shadow([[maybe_unused]] std::uintptr_t address) noexcept {
#if defined(__has_feature)
#define PROCESSION_HAS_FEATURE(x) __has_feature(x)
#else
#define PROCESSION_HAS_FEATURE(x) 0
#endif
#if defined(__x86_64__) && \
    (defined(__SANITIZE_ADDRESS__) || PROCESSION_HAS_FEATURE(address_sanitizer))
  return address >= 0x7fff8000 && address < 0x10007fff8000;
#elif defined(__x86_64__) && \
    (defined(__SANITIZE_THREAD__) || PROCESSION_HAS_FEATURE(thread_sanitizer))
  return address >= 0x8000000000 && address < 0x550000000000;
#else
  return false;
#endif
#undef PROCESSION_HAS_FEATURE
}

}  // namespace

bool mapped(const void* address) noexcept {
  const auto word = reinterpret_cast<std::uintptr_t>(address);
  if (word < lowest_mapping || in_sanitizer_shadow(word)) return false;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Of all calls that fail with ENOMEM for what is not mapped this one does the least: MS_ASYNC has
  // had no effect since Linux 2.6.19. Raw, because the library's is a cancellation point.
  const int saved = errno;
  const bool found =
      ::syscall(SYS_msync, word & ~(page - 1), page, MS_ASYNC) == 0 || errno != ENOMEM;
  errno = saved;
  return found;
}

std::string describe_address(const void* address) {
  const auto word = reinterpret_cast<std::uintptr_t>(address);
  const auto mapping = find_mapping(word);
  if (!mapping) return "unmapped memory";
  if (mapping->name == "[stack]" || on_own_stack(word)) return "the stack";
  if (mapping->name == "[heap]") return "the heap";
  if (const auto image = describe_image(word)) return *image;
  if (mapping->shared) return "shared memory";
  return mapping->name.starts_with('/') ? "a mapped file" + in_parentheses(mapping->name)
                                        : "private memory";
}

}  // namespace procession::detail
