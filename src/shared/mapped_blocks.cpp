#include "shared/mapped_blocks.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>

#include "process/descriptor_keeper.hpp"
#include "procession/errors.hpp"
#include "procession/shared_memory.hpp"
#include "system/descriptor.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

struct Entry {
  std::size_t handles = 0;
  bool closed = false;
  std::byte* mapped = nullptr;
};

struct MappedBlocks {
  std::mutex mutex;
  std::unordered_map<Object*, Entry> entries;
};

MappedBlocks& mapped_blocks() {
  alignas(MappedBlocks) static std::byte storage[sizeof(MappedBlocks)];
  static MappedBlocks& the = []() -> MappedBlocks& {
    auto* made = new (storage) MappedBlocks;
    pthread_atfork([] { mapped_blocks().mutex.lock(); }, [] { mapped_blocks().mutex.unlock(); },
                   [] { mapped_blocks().mutex.unlock(); });
    return *made;
  }();
  return the;
}

void unmap(std::byte* mapped, const BlockShared& block) noexcept {
  if (mapped != nullptr) munmap(mapped, block.size);
}

[[noreturn]] void throw_closed(const BlockShared& block) {
  throw StateError("the shared memory '" + std::string(block.name) +
                   "' is closed: close() was called in this process, on this handle or on a copy "
                   "of it; call close() after the last use, or attach() again");
}

// The name may be another block's by now, so the file decides.
Descriptor open_block(const BlockShared& block) {
  const std::string path = path_of_name(block.name);
  Descriptor named(open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (named && fstat(named.get(), &status) == 0 && FileIdentity::of(status) == block.file) {
    return named;
  }
  Descriptor kept = block.number == 0 ? Descriptor() : fetch_descriptor(block.number);
  if (kept) return kept;
  throw StateError("the shared memory '" + std::string(block.name) +
                   "' has lost its name before this process first used it, and the process that "
                   "kept it meanwhile was killed, or never was; unlink() it later");
}

}  // namespace

std::byte* map_file(int file, const BlockShared& block) {
  void* at = mmap(nullptr, block.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) {
    throw_system_error(errno, "map the shared memory '" + std::string(block.name) + "' of " +
                                  std::to_string(block.size) + " bytes");
  }
  return static_cast<std::byte*>(at);
}

void enter_block(Object* block, std::byte* mapped) {
  MappedBlocks& the = mapped_blocks();
  try {
    std::lock_guard guard(the.mutex);
    the.entries.insert_or_assign(block, Entry{1, false, mapped});
  } catch (...) {
    unmap(mapped, block_of(block));
    throw;
  }
}

std::byte* mapped_block(Object* object) {
  const BlockShared& block = block_of(object);
  MappedBlocks& the = mapped_blocks();
  const auto look = [&]() -> std::byte* {
    const Entry& entry = the.entries.at(object);
    if (entry.closed) throw_closed(block);
    return entry.mapped;
  };
  {
    std::lock_guard guard(the.mutex);
    if (std::byte* mapped = look()) return mapped;
  }
  std::byte* fresh = map_file(open_block(block).get(), block);
  std::unique_lock guard(the.mutex);
  try {
    if (std::byte* mapped = look()) {  // another thread was first
      guard.unlock();
      unmap(fresh, block);
      return mapped;
    }
  } catch (...) {
    unmap(fresh, block);
    throw;
  }
  the.entries.at(object).mapped = fresh;
  return fresh;
}

void close_block(Object* object) noexcept {
  MappedBlocks& the = mapped_blocks();
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(object);
  if (at == the.entries.end()) return;
  at->second.closed = true;
  unmap(std::exchange(at->second.mapped, nullptr), block_of(object));
}

void count_block_handle(Object* object) {
  MappedBlocks& the = mapped_blocks();
  std::lock_guard guard(the.mutex);
  ++the.entries[object].handles;
}

void drop_block_handle(Object* object) noexcept {
  MappedBlocks& the = mapped_blocks();
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(object);
  if (at == the.entries.end() || --at->second.handles != 0) return;
  unmap(at->second.mapped, block_of(object));
  the.entries.erase(at);
}

}  // namespace procession::detail
