#include "system/proc.hpp"

#include "system/on_cpu.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "system/descriptor.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

using PathText = std::array<char, 64>;

PathText proc_path(pid_t pid, const char* file) noexcept {
  PathText path;
  std::snprintf(path.data(), path.size(), "/proc/%d/%.16s", static_cast<int>(pid), file);
  return path;
}

// As much of the file as fits. No allocation: this also runs in freshly forked children.
std::string_view read_some(const char* path, char* buffer, std::size_t room) noexcept {
  const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  std::size_t size = 0;
  while (size < room) {
    const ssize_t got = ::read(file.get(), buffer + size, room - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;  // also ESRCH: the process went away meanwhile
    size += static_cast<std::size_t>(got);
  }
  return {buffer, size};
}

// The next word of `text`, which is shortened by it.
std::string_view next_word(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

template <class T>
T next_number(std::string_view& text) noexcept {
  T number = 0;
  const std::string_view word = next_word(text);
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

std::optional<ProcStat> read_stat_file(const char* path) noexcept {
  std::array<char, 1024> buffer;
  std::string_view text = read_some(path, buffer.data(), buffer.size());
  // The second field is the program's name in parentheses, and may contain both those and spaces.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);

  ProcStat stat;
  const std::string_view state = next_word(text);  // field 3
  if (state.empty()) return std::nullopt;
  stat.state = state[0];
  stat.parent = next_number<pid_t>(text);
  for (int field = 5; field < 14; ++field) next_word(text);
  stat.utime = next_number<std::uint64_t>(text);
  stat.stime = next_number<std::uint64_t>(text);
  for (int field = 16; field < 20; ++field) next_word(text);
  stat.num_threads = next_number<int>(text);
  next_word(text);
  stat.start_time = next_number<std::uint64_t>(text);
  return stat;
}

// CPU time of all threads of the process, to the nanosecond.
std::optional<std::chrono::nanoseconds> cpu_time(pid_t pid) noexcept {
  clockid_t clock;
  std::timespec time;
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

bool any_task_runnable(pid_t pid) noexcept {
  DIR* tasks = ::opendir(proc_path(pid, "task").data());
  if (tasks == nullptr) return false;
  bool runnable = false;
  while (const dirent* entry = ::readdir(tasks)) {
    if (entry->d_name[0] == '.') continue;
    PathText file;
    std::snprintf(file.data(), file.size(), "/proc/%d/task/%.16s/stat", static_cast<int>(pid),
                  entry->d_name);
    const auto stat = read_stat_file(file.data());
    runnable = stat && stat->state == 'R';
    if (runnable) break;
  }
  ::closedir(tasks);
  return runnable;
}

// Z is also what a main thread is that has ended before the others; the process then lives on.
bool has_ended(const ProcStat& stat) noexcept {
  return stat.state == 'X' || stat.state == 'x' || (stat.state == 'Z' && stat.num_threads <= 1);
}

std::size_t peak_memory(pid_t pid) noexcept {
  std::array<char, 4096> buffer;
  const std::string_view text =
      read_some(proc_path(pid, "status").data(), buffer.data(), buffer.size());
  constexpr std::string_view key = "\nVmHWM:";
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return 0;
  std::string_view rest = text.substr(at + key.size());
  return next_number<std::size_t>(rest) * 1024;
}

}  // namespace

[[gnu::hot]] std::uint64_t ticks_since_boot() noexcept {
  static const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * per_second +
         static_cast<std::uint64_t>(now.tv_nsec) * per_second / 1'000'000'000;
}

std::optional<ProcStat> read_stat(pid_t pid) noexcept {
  return read_stat_file(proc_path(pid, "stat").data());
}

int thread_count() {
  if (__libc_single_threaded != 0) return 1;
  // The folder has one link for each thread, besides its own two.
  struct stat tasks;
  if (::stat("/proc/self/task", &tasks) != 0) throw_system_error(errno, "read /proc/self/task");
  return static_cast<int>(tasks.st_nlink) - 2;
}

ProcessState observe_state(pid_t pid) noexcept {
  const auto first = cpu_time(pid);
  const auto second = cpu_time(pid);
  const auto stat = read_stat(pid);
  if (!stat || has_ended(*stat)) return ProcessState::Terminated;
  // The clock stands still except while a thread of the process is on a CPU.
  if (first && second && *second > *first) return ProcessState::Running;
  // That clock is brought up to date only now and then while the thread goes on running.
  if (stat->state == 'R') {
    return on_cpu(pid).value_or(false) ? ProcessState::Running : ProcessState::Ready;
  }
  if (stat->num_threads > 1 && any_task_runnable(pid)) return ProcessState::Ready;
  return ProcessState::Blocked;
}

Usage observe_usage(pid_t pid) noexcept {
  Usage usage;
  const auto total = cpu_time(pid);
  const auto stat = read_stat(pid);
  if (!total || !stat) return usage;
  // The kernel counts the two parts in coarse ticks, the whole precisely.
  const double ticks = static_cast<double>(stat->utime) + static_cast<double>(stat->stime);
  const double share = ticks > 0 ? static_cast<double>(stat->stime) / ticks : 0;
  usage.system_time = std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(total->count()) * share));
  usage.user_time = *total - usage.system_time;
  usage.peak_memory = peak_memory(pid);
  return usage;
}

}  // namespace procession::detail
