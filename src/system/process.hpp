// Processes as the kernel has them: pidfds, signals, exit status, and the fork of the fork server.
//
// A pidfd names one process for good, where a pid may come to name another one. Descriptors here
// are plain ints that the caller owns. Every function may be called from any thread, unless it
// says otherwise. Errors that are not an outcome are thrown as SystemError.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>

#include "system/descriptor.hpp"

namespace procession::detail {

// Throws (ESRCH) if there is no such process. Close-on-exec. Only a pid that cannot have been
// reused yet names the process meant: a child that nobody has reaped.
Descriptor open_pidfd(pid_t pid);

// Whether the process has ended, reaped or not. Never blocks.
bool pidfd_ended(int pidfd);

// Blocks until the process has ended (true) or the deadline has passed (false); none: for ever.
bool wait_pidfd(int pidfd, std::optional<std::chrono::steady_clock::time_point> deadline);

// False: the process has ended. True: sent; it may end, for any reason, before it takes notice.
bool send_signal(int pidfd, int signal);

struct ExitRecord {
  int status = 0;  // wait status, as from waitpid
  std::chrono::nanoseconds user_time{};
  std::chrono::nanoseconds system_time{};
  std::size_t peak_memory = 0;  // bytes
};

enum class ReapOutcome {
  Reaped,    // ended, and reaped by this call
  Running,   // not ended (only without `block`)
  Recorded,  // ended; the status went to another wait, but the kernel had kept it: status only
  NotOurs,   // no status to be had: not a child of the caller, or taken by somebody else's wait
             // (or an ignored SIGCHLD) on a kernel that keeps none
};

// Takes the exit status of the child, waiting for its end if `block`. The record is written for
// Reaped and Recorded. Does not touch any other child. Of a process that was executed (rather
// than only forked) the peak memory includes what its memory was before the execution.
ReapOutcome reap(int pidfd, bool block, ExitRecord& record);

// The same for callers to whom Running and NotOurs are one.
std::optional<ExitRecord> reap(int pidfd, bool block);

// The wait status of a process that has been reaped, by whomever; none if it has not, or if the
// kernel (before 6.15) does not keep it. Never blocks.
std::optional<int> exit_status_from_pidfd(int pidfd);

// n for a process that exited with n, -N for one that signal N killed.
int exitcode_of(int wait_status) noexcept;

struct ForkResult {
  pid_t pid;         // 0: this is the child
  Descriptor pidfd;  // of the child, in the parent
};

// Forks this process, which must have no other thread: no fork handlers are run, no locks are
// mended. One system call gives both the child and its pidfd. What glibc keeps about the thread
// (its id, the list of robust mutexes it holds) is right in the child, as after fork.
ForkResult fork_server_child();

}  // namespace procession::detail
