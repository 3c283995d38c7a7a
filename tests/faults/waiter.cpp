#include "waiter.hpp"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <system_error>

#include "tracing.hpp"

namespace procession::faults {

namespace {

constexpr int body_threw = 97;
constexpr int system_call_stop = SIGTRAP | 0x80;  // with PTRACE_O_TRACESYSGOOD

bool futex_sleeps(std::uint64_t operation) {
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
      return true;
    default:
      return false;
  }
}

// The calls by which programs of the family wait.
bool may_sleep(std::uint64_t call, std::uint64_t second_argument) {
  switch (call) {
    case SYS_futex:
      return futex_sleeps(second_argument);
    case SYS_futex_waitv:
    case SYS_ppoll:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_waitid:
    case SYS_wait4:
    case SYS_recvmsg:
    case SYS_pselect6:
#if defined(SYS_poll)
    case SYS_poll:
    case SYS_epoll_wait:
    case SYS_pause:
#endif
      return true;
    default:
      return false;
  }
}

bool enters_a_wait(pid_t pid) {
  __ptrace_syscall_info info{};
  long size = ::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
  return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
         may_sleep(info.entry.nr, info.entry.args[1]);
}

}  // namespace

Waiter::Waiter(const std::function<int()>& body, std::chrono::milliseconds limit)
    : limit_(limit), pid_(::fork()) {
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) run(body);
  run_until_it_waits();
}

Waiter::~Waiter() {
  if (code_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

void Waiter::run(const std::function<int()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::raise(SIGSTOP);
  try {
    ::_exit(body());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the waiter threw: %s\n", error.what());
  }
  ::_exit(body_threw);
}

// From the entry of the call on it needs nobody to go on, and is let go.
void Waiter::run_until_it_waits() {
  bool too_late = false;
  {
    Alarm alarm(limit_, pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) == pid_) {
      if (!WIFSTOPPED(status)) {
        note_end(status);
        too_late = code_ == -SIGKILL;
        break;
      }
      int signal = WSTOPSIG(status);
      if (signal == SIGSTOP) {
        ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
        signal = 0;
      } else if (signal == system_call_stop) {
        signal = 0;
        if (enters_a_wait(pid_)) {
          ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
          break;
        }
      }
      ::ptrace(PTRACE_SYSCALL, pid_, nullptr, static_cast<long>(signal));
    }
  }
  if (too_late) throw std::runtime_error("the waiter never came to wait");
}

void Waiter::note_end(int status) {
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::optional<int> Waiter::join() {
  if (code_) return code_;
  int status = 0;
  {
    Alarm alarm(limit_, pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  note_end(status);
  if (code_ == -SIGKILL) return std::nullopt;
  return code_;
}

}  // namespace procession::faults
