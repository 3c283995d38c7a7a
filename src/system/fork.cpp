// fork_server_child: clone3 with glibc's bookkeeping done by hand.
//
// glibc offers no fork that gives a pidfd, and opening one by pid afterwards costs a system call
// more. Invariants that glibc's own fork establishes in the child and this one must, too:
//  1. The cached thread id (what robust and error-checking mutexes write as their owner) is the
//     child's: the kernel stores it there before the child runs (CLONE_CHILD_SETTID), and clears
//     it at the thread's end (CLONE_CHILD_CLEARTID).
//  2. The list of held robust mutexes is empty, and registered with the kernel: the parent's
//     mutexes are not the child's, and a registration is not inherited.
#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "system/errors.hpp"
#include "system/process.hpp"

// Sanitizers keep locks and per-thread state of their own that a fork unknown to them would break.
// Null where the program is built without one.
extern "C" {
__attribute__((weak)) void __sanitizer_syscall_pre_impl_fork();
__attribute__((weak)) void __sanitizer_syscall_post_impl_fork(long result);
}

namespace procession::detail {
namespace {

constexpr int get_tid_address = 40;  // PR_GET_TID_ADDRESS

// Where glibc keeps the id of the calling thread; null if the kernel does not tell, or if that is
// not what is found there.
pid_t* cached_thread_id() noexcept {
  pid_t* address = nullptr;
  if (::prctl(get_tid_address, &address, 0, 0, 0) != 0 || address == nullptr) return nullptr;
  return *address == static_cast<pid_t>(::syscall(SYS_gettid)) ? address : nullptr;
}

// The calling thread's list of robust mutexes; null if it is not glibc's.
robust_list_head* robust_list_of_thread() noexcept {
  robust_list_head* head = nullptr;
  std::size_t size = 0;
  if (::syscall(SYS_get_robust_list, 0, &head, &size) != 0) return nullptr;
  return size == sizeof(robust_list_head) ? head : nullptr;
}

// glibc's list is linked both ways: the word before the head is the head's back link, which points
// to itself, seen as a node, when the list is empty.
void empty_robust_list(robust_list_head* head) noexcept {
  head->list.next = &head->list;
  head->list_op_pending = nullptr;
  void* self = head;
  std::memcpy(reinterpret_cast<char*>(head) - sizeof(void*), &self, sizeof(self));
  ::syscall(SYS_set_robust_list, head, sizeof(*head));
}

// The same from parts that every system has. The pid cannot be reused before the child is reaped.
ForkResult fork_and_open() {
  const pid_t pid = ::_Fork();
  if (pid < 0) throw_system_error(errno, "fork");
  if (pid == 0) return {0, Descriptor()};
  return {pid, open_pidfd(pid)};
}

}  // namespace

ForkResult fork_server_child() {
  pid_t* const thread_id = cached_thread_id();
  robust_list_head* const robust = robust_list_of_thread();
  if (thread_id == nullptr || robust == nullptr) return fork_and_open();

  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.child_tid = reinterpret_cast<std::uintptr_t>(thread_id);
  arguments.exit_signal = SIGCHLD;

  if (__sanitizer_syscall_pre_impl_fork != nullptr) __sanitizer_syscall_pre_impl_fork();
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  const int error = errno;
  if (pid == 0) empty_robust_list(robust);
  if (__sanitizer_syscall_post_impl_fork != nullptr) __sanitizer_syscall_post_impl_fork(pid);

  if (pid == 0) return {0, Descriptor()};
  if (pid > 0) return {static_cast<pid_t>(pid), Descriptor(pidfd)};
  // Some sandboxes know no clone3.
  if (error == ENOSYS || error == EPERM) return fork_and_open();
  throw_system_error(error, "fork");
}

}  // namespace procession::detail
