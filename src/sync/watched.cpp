#include "sync/watched.hpp"

#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "system/proc.hpp"

namespace procession::detail {
namespace {

// Whether the thread runs no instruction of the program any more: it is on its way out, or a
// SIGKILL is pending for it.
bool is_ending(pid_t pid, const char* tid) noexcept {
  char path[64], line[1024];
  std::snprintf(path, sizeof path, "/proc/%d/task/%s/stat", pid, tid);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return true;
  const std::size_t bytes = std::fread(line, 1, sizeof line - 1, file);
  std::fclose(file);
  line[bytes] = '\0';
  const char* rest = std::strrchr(line, ')');
  if (rest == nullptr) return true;
  char state = 0;
  unsigned flags = 0;
  if (std::sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) return true;
  constexpr unsigned exiting = 4;  // PF_EXITING
  if (state == 'Z' || state == 'X' || (flags & exiting) != 0) return true;
  std::snprintf(path, sizeof path, "/proc/%d/task/%s/status", pid, tid);
  file = std::fopen(path, "re");
  if (file == nullptr) return true;
  bool killed = false;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long long pending = 0;
    if (std::sscanf(line, "SigPnd: %llx", &pending) == 1) killed = (pending >> 8 & 1) != 0;
  }
  std::fclose(file);
  return killed;
}

bool all_threads_are_ending(pid_t pid) noexcept {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR* threads = opendir(path);
  if (threads == nullptr) return true;
  bool all = true;
  while (const dirent* entry = readdir(threads)) {
    if (entry->d_name[0] == '.') continue;
    all = all && is_ending(pid, entry->d_name);
  }
  closedir(threads);
  return all;
}

}  // namespace

bool process_is_gone(std::uint32_t index, std::uint32_t generation) noexcept {
  const ProcessSlot& slot = slot_at(index);
  const SlotWord word = SlotWord::from(slot.state.load(std::memory_order_acquire));
  if (word.generation != generation || word.state != SlotState::Alive) return true;
  if (!slot.life.holder_died()) return false;
  // The thread that held the token may have ended alone.
  return slot_is_dead(slot) || all_threads_are_ending(slot.pid.load(std::memory_order_acquire));
}

}  // namespace procession::detail
