#include "ship/local_modules.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace procession::detail {

namespace {

using Header = ElfW(Phdr);

std::string path_of_program() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "the program";
}

// The build-id among the notes of one segment.
std::optional<BuildId> build_id_in(std::span<const std::byte> notes) noexcept {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof note);
    const auto padded = [](std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; };
    const std::size_t name_at = sizeof note;
    const std::size_t value_at = name_at + padded(note.n_namesz);
    const std::size_t end = value_at + padded(note.n_descsz);
    if (value_at + note.n_descsz > notes.size()) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes.data() + name_at, "GNU", 4) == 0 && note.n_descsz > 0) {
      BuildId id{};
      std::memcpy(id.data(), notes.data() + value_at,
                  std::min<std::size_t>(note.n_descsz, id.size()));
      return id;
    }
    notes = notes.subspan(std::min(end, notes.size()));
  }
  return std::nullopt;
}

// Without a build-id: the file's path and size. 64-bit FNV-1a, twice.
BuildId id_of_file(const std::string& path) noexcept {
  struct stat file {};
  const std::uint64_t size =
      ::stat(path.c_str(), &file) == 0 ? static_cast<std::uint64_t>(file.st_size) : 0;
  const auto hash = [&](std::uint64_t state) {
    const auto mix = [&](std::uint8_t byte) { state = (state ^ byte) * 0x100000001b3; };
    for (const char c : path) mix(static_cast<std::uint8_t>(c));
    for (int shift = 0; shift < 64; shift += 8) mix(static_cast<std::uint8_t>(size >> shift));
    return state;
  };
  const std::uint64_t hashes[] = {hash(0xcbf29ce484222325), hash(0x84222325cbf29ce4)};
  BuildId id{};
  std::memcpy(id.data(), hashes, sizeof hashes);
  id[16] = 1;  // apart from any 16-byte build-id
  return id;
}

void set_name(ModuleEntry& entry, std::string_view path) noexcept {
  const std::string_view file = path.substr(path.rfind('/') + 1);
  const std::size_t length = std::min(file.size(), sizeof entry.name - 1);
  std::memcpy(entry.name, file.data(), length);
}

// Nothing of a module that has no segment to load.
std::optional<LocalModule> describe(const dl_phdr_info& info) {
  LocalModule module{~std::uintptr_t{0}, 0, info.dlpi_addr, info.dlpi_name, {}};
  std::optional<BuildId> id;
  for (const Header& header : std::span(info.dlpi_phdr, info.dlpi_phnum)) {
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD) {
      module.begin = std::min<std::uintptr_t>(module.begin, begin);
      module.end = std::max<std::uintptr_t>(module.end, begin + header.p_memsz);
    } else if (header.p_type == PT_NOTE && !id) {
      id = build_id_in({reinterpret_cast<const std::byte*>(begin), header.p_memsz});
    }
  }
  if (module.end == 0) return std::nullopt;
  const std::string path = module.path.empty() ? path_of_program() : module.path;
  module.entry.id = id ? *id : id_of_file(path);
  module.entry.size = module.end - module.begin;
  set_name(module.entry, path);
  return module;
}

int add_to_snapshot(dl_phdr_info* info, std::size_t, void* data) {
  auto& snapshot = *static_cast<LoaderSnapshot*>(data);
  snapshot.counts = {info->dlpi_adds, info->dlpi_subs};
  if (auto module = describe(*info)) {
    // The program is the first, and the only one that may have no name.
    if (!snapshot.modules.empty() && module->path.empty()) module->path = "[vdso]";
    snapshot.modules.push_back(std::move(*module));
  }
  return 0;
}

}  // namespace

LoaderSnapshot list_local_modules() {
  LoaderSnapshot snapshot;
  ::dl_iterate_phdr(add_to_snapshot, &snapshot);
  return snapshot;
}

LoaderCounts count_local_modules() noexcept {
  LoaderCounts counts;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        *static_cast<LoaderCounts*>(data) = {info->dlpi_adds, info->dlpi_subs};
        return 1;  // the counts are the same for each module
      },
      &counts);
  return counts;
}

bool pin_module(const std::string& path) noexcept {
  if (path.empty()) return true;
  if (::dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr) return true;
  // The kernel's own module is no file.
  return path.find("vdso") != path.npos;
}

}  // namespace procession::detail
