#include "process/shared_names.hpp"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>

#include "memory/family.hpp"
#include "process/descriptor_keeper.hpp"
#include "procession/detail/memory.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

struct NameRecord {
  enum State : std::uint32_t { Unused, Listed };
  std::atomic<std::uint32_t> state;
  FileIdentity file;
  char name[NAME_MAX + 1];
};

// Each as long as all before it. They live as long as the family.
struct NameChunk {
  std::atomic<void*> next;
  std::size_t count;
  NameRecord records[1];  // `count` of them
};
constexpr std::size_t first_count = 16;
constexpr std::size_t most_in_chunk = 1024;

NameChunk* chunk_at(const std::atomic<void*>& link) noexcept {
  return static_cast<NameChunk*>(link.load(std::memory_order_acquire));
}

// The first record for which `wanted` is true, or nullptr.
template <class Wanted>
NameRecord* find_record(Wanted wanted) noexcept {
  const std::atomic<void*>* link = &family_root(FamilyRoot::Names);
  while (NameChunk* chunk = chunk_at(*link)) {
    for (std::size_t i = 0; i < chunk->count; ++i) {
      if (wanted(chunk->records[i])) return &chunk->records[i];
    }
    link = &chunk->next;
  }
  return nullptr;
}

bool is_listed(const NameRecord& record) noexcept {
  return record.state.load(std::memory_order_acquire) == NameRecord::Listed;
}

void strike(NameRecord& record) noexcept {
  record.state.store(NameRecord::Unused, std::memory_order_release);
}

// In the keeper nothing may throw, so the path is no std::string.
struct Path {
  char text[NAME_MAX + 16];
  explicit Path(const char* name) noexcept {
    char* end = stpcpy(text, shared_folder);
    *end++ = '/';
    copy_text(end, static_cast<std::size_t>(text + sizeof text - end), name);
  }
};

bool is_name_of(const Path& path, const FileIdentity& file) noexcept {
  struct stat status {};
  return lstat(path.text, &status) == 0 && FileIdentity::of(status) == file;
}

void add_chunk() {
  std::atomic<void*>* link = &family_root(FamilyRoot::Names);
  std::size_t total = 0;
  while (NameChunk* chunk = chunk_at(*link)) {
    total += chunk->count;
    link = &chunk->next;
  }
  const std::size_t count = std::clamp(total, first_count, most_in_chunk);
  const std::size_t bytes = sizeof(NameChunk) + (count - 1) * sizeof(NameRecord);
  auto* chunk = static_cast<NameChunk*>(allocate(bytes));
  std::memset(static_cast<void*>(chunk), 0, bytes);
  chunk->count = count;
  hand_over(chunk, *link);
}

// REQUIRES: NameWords::mutex.
NameRecord& unused_record() {
  const auto unused = [](const NameRecord& record) { return !is_listed(record); };
  if (NameRecord* found = find_record(unused)) return *found;
  // Invariant 2. As often as the list grows, so that many names cost no look at each of them.
  find_record([](NameRecord& record) {
    if (!is_name_of(Path(record.name), record.file)) strike(record);
    return false;
  });
  if (NameRecord* found = find_record(unused)) return *found;
  add_chunk();
  return *find_record(unused);
}

}  // namespace

std::string path_of_name(const std::string& name) {
  return std::string(shared_folder) + '/' + name;
}

bool publish_name(const std::string& name, int file, const FileIdentity& identity) {
  static const int at_exit = std::atexit(guard_names);
  (void)at_exit;
  const std::string unnamed = "/proc/self/fd/" + std::to_string(file);
  const std::string path = path_of_name(name);
  int error = 0;
  {
    RobustGuard guard(family().names.mutex);
    NameRecord& record = unused_record();
    record.file = identity;
    copy_text(record.name, sizeof record.name, name);
    record.state.store(NameRecord::Listed, std::memory_order_release);
    if (linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      return true;
    }
    error = errno;
    strike(record);
  }
  if (error == EEXIST) return false;
  throw_system_error(error, "give shared memory the name '" + name + "'");
}

bool remove_name(const std::string& name, const FileIdentity& identity) {
  const Path path(name.c_str());
  int error = 0;
  {
    RobustGuard guard(family().names.mutex);
    const bool there = is_name_of(path, identity);
    if (there && unlink(path.text) != 0) error = errno;
    if (error == 0 || error == ENOENT) {
      NameRecord* record = find_record([&](const NameRecord& each) {
        return is_listed(each) && each.file == identity && name == each.name;
      });
      if (record != nullptr) strike(*record);
      return there && error == 0;
    }
  }
  throw_system_error(error, "remove the shared memory '" + name + "'");
}

void remove_family_names() noexcept {
  find_record([](const NameRecord& record) {
    if (is_listed(record)) {
      const Path path(record.name);
      if (is_name_of(path, record.file)) unlink(path.text);
    }
    return false;
  });
}

void guard_names() noexcept {
  if (!have_family() || self_index() == 0 || find_record(is_listed) == nullptr) return;
  // With process 1 of a container all others end at once, the keeper, too.
  if (getpid() == 1) return remove_family_names();
  try {
    require_keeper();
  } catch (const std::exception& error) {
    std::cerr << "procession: names in /dev/shm may be left behind: " << error.what() << '\n';
  }
}

}  // namespace procession::detail
