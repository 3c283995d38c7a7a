#include "system/process.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <string>

#include "system/errors.hpp"

namespace procession::detail {
namespace {

constexpr int wait_for_pidfd = 3;  // P_PIDFD

// The first form of the kernel's struct pidfd_info; later kernels accept it.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup;
  std::uint32_t pid, thread_group, parent;
  std::uint32_t user, group, effective_user, effective_group;
  std::uint32_t saved_user, saved_group, file_user, file_group;
  std::int32_t exit_status;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t info_pid = 1U << 0;
constexpr std::uint64_t info_exit = 1U << 3;
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);

std::optional<PidfdInfo> pidfd_info(int pidfd, std::uint64_t mask) noexcept {
  PidfdInfo info{};
  info.mask = mask;
  if (::ioctl(pidfd, get_info, &info) != 0 || (info.mask & mask) != mask) return std::nullopt;
  return info;
}

// The events among `events` (and POLLHUP) that the pidfd has; none if the time runs out.
short poll_pidfd(int pidfd, short events, const std::timespec* timeout) {
  pollfd poll{pidfd, events, 0};
  const int ready = ::ppoll(&poll, 1, timeout, nullptr);
  if (ready < 0 && errno != EINTR) throw_system_error(errno, "poll a pidfd");
  if (ready > 0 && (poll.revents & POLLNVAL) != 0) throw_system_error(EBADF, "poll a pidfd");
  return ready > 0 ? poll.revents : short{0};
}

std::chrono::nanoseconds to_duration(const timeval& time) noexcept {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

// waitid reports the parts of what waitpid reports as one number.
int to_wait_status(const siginfo_t& info) noexcept {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

// Between the moment another wait (or the ignored SIGCHLD) takes a child and the moment the kernel
// files its status, there is neither a child to wait for nor a status. A process in that state
// still has us as its parent: its end is certain and imminent, so this is no open-ended wait.
std::optional<int> status_taken_by_other(int pidfd) {
  const auto info = pidfd_info(pidfd, info_pid);
  if (info && static_cast<pid_t>(info->parent) == ::getpid() && pidfd_ended(pidfd)) {
    while ((poll_pidfd(pidfd, 0, nullptr) & POLLHUP) == 0) continue;  // interrupted
  }
  return exit_status_from_pidfd(pidfd);
}

}  // namespace

Descriptor open_pidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) throw_system_error(errno, "open a pidfd of process " + std::to_string(pid));
  return Descriptor(static_cast<int>(fd));
}

bool pidfd_ended(int pidfd) { return wait_pidfd(pidfd, std::chrono::steady_clock::time_point{}); }

bool wait_pidfd(int pidfd, std::optional<std::chrono::steady_clock::time_point> deadline) {
  for (;;) {
    std::timespec left{};
    bool last = false;
    if (deadline) {
      const bool at_once = deadline->time_since_epoch().count() <= 0;
      const auto now = at_once ? *deadline : std::chrono::steady_clock::now();
      last = now >= *deadline;
      const std::chrono::nanoseconds rest = last ? std::chrono::nanoseconds(0) : *deadline - now;
      left.tv_sec = static_cast<std::time_t>(rest.count() / 1'000'000'000);
      left.tv_nsec = static_cast<long>(rest.count() % 1'000'000'000);
    }
    if (poll_pidfd(pidfd, POLLIN, deadline ? &left : nullptr) != 0) return true;
    if (last) return false;
  }
}

bool send_signal(int pidfd, int signal) {
  // A process that has ended but is not reaped accepts signals, to no effect.
  if (pidfd_ended(pidfd)) return false;
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw_system_error(errno, "send signal " + std::to_string(signal));
}

ReapOutcome reap(int pidfd, bool block, ExitRecord& record) {
  // glibc's waitid has no rusage; the kernel's has. __WALL: whatever its exit signal is.
  siginfo_t info{};
  rusage usage{};
  const int options = WEXITED | __WALL | (block ? 0 : WNOHANG);
  while (::syscall(SYS_waitid, wait_for_pidfd, pidfd, &info, options, &usage) != 0) {
    if (errno == EINTR) continue;
    if (errno != ECHILD) throw_system_error(errno, "reap a process");
    const auto status = status_taken_by_other(pidfd);
    if (!status) return ReapOutcome::NotOurs;
    record = ExitRecord{};
    record.status = *status;
    return ReapOutcome::Recorded;
  }
  if (info.si_pid == 0) return ReapOutcome::Running;
  record.status = to_wait_status(info);
  record.user_time = to_duration(usage.ru_utime);
  record.system_time = to_duration(usage.ru_stime);
  record.peak_memory = static_cast<std::size_t>(usage.ru_maxrss) * 1024;
  return ReapOutcome::Reaped;
}

std::optional<ExitRecord> reap(int pidfd, bool block) {
  ExitRecord record;
  const ReapOutcome outcome = reap(pidfd, block, record);
  if (outcome == ReapOutcome::Running || outcome == ReapOutcome::NotOurs) return std::nullopt;
  return record;
}

std::optional<int> exit_status_from_pidfd(int pidfd) {
  const auto info = pidfd_info(pidfd, info_exit);
  if (!info) return std::nullopt;
  return info->exit_status;
}

int exitcode_of(int wait_status) noexcept {
  if (WIFSIGNALED(wait_status)) return -WTERMSIG(wait_status);
  return WEXITSTATUS(wait_status);
}

}  // namespace procession::detail
