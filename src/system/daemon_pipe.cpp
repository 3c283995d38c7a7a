#include "system/daemon_pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "system/errors.hpp"

namespace procession::detail {

// All pipes of the process, for the fork handlers: they hold the lock across the fork, so that
// the child finds the list and every pipe whole.
struct LifePipes {
  std::mutex mutex;
  LifePipe* first = nullptr;

  static LifePipes& all() {
    // Never destroyed: a process may fork until its very end.
    static LifePipes* const pipes = new LifePipes;
    return *pipes;
  }

  LifePipes() { ::pthread_atfork(&before_fork, &in_parent, &in_child); }

  static void before_fork() {
    all().mutex.lock();
    for (LifePipe* pipe = all().first; pipe != nullptr; pipe = pipe->next_) pipe->mutex_.lock();
  }

  static void in_parent() {
    for (LifePipe* pipe = all().first; pipe != nullptr; pipe = pipe->next_) pipe->mutex_.unlock();
    all().mutex.unlock();
  }

  static void in_child() {
    for (LifePipe* pipe = all().first; pipe != nullptr; pipe = pipe->next_) pipe->after_fork();
    in_parent();
  }
};

LifePipe::LifePipe() {
  LifePipes& pipes = LifePipes::all();
  const std::lock_guard guard(pipes.mutex);
  next_ = pipes.first;
  pipes.first = this;
}

LifePipe::~LifePipe() {
  LifePipes& pipes = LifePipes::all();
  const std::lock_guard guard(pipes.mutex);
  LifePipe** at = &pipes.first;
  while (*at != this) at = &(*at)->next_;
  *at = next_;
}

int LifePipe::read_end() {
  const std::lock_guard guard(mutex_);
  if (!write_end_) {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_system_error(errno, "make a pipe");
    read_end_.reset(above_standard(ends[0]));
    write_end_.reset(above_standard(ends[1]));
  }
  return read_end_.get();
}

std::vector<int> LifePipe::descriptors() {
  const std::lock_guard guard(mutex_);
  std::vector<int> open;
  for (const Descriptor* end : {&read_end_, &write_end_}) {
    if (*end) open.push_back(end->get());
  }
  return open;
}

void LifePipe::after_fork() noexcept { write_end_.reset(); }

bool die_with(int read_end) {
  // The owner of the signal belongs to the open file description, which this process shares with
  // its parent and siblings: it needs one of its own.
  std::array<char, 40> path;
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", read_end);
  Descriptor own(::open(path.data(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!own) throw_system_error(errno, std::string("open ") + path.data());

  const f_owner_ex owner{F_OWNER_PID, ::getpid()};
  if (::fcntl(own.get(), F_SETOWN_EX, &owner) != 0 || ::fcntl(own.get(), F_SETSIG, SIGKILL) != 0 ||
      ::fcntl(own.get(), F_SETFL, O_NONBLOCK | O_ASYNC) != 0) {
    throw_system_error(errno, "ask for a signal at the parent's end");
  }
  // The signal is sent for a close after this point; one before it shows here.
  pollfd poll{own.get(), POLLIN, 0};
  while (::poll(&poll, 1, 0) < 0) {
    if (errno != EINTR) throw_system_error(errno, "poll the parent's pipe");
  }
  if ((poll.revents & POLLHUP) != 0) return false;
  [[maybe_unused]] const int kept_for_life = own.release();
  return true;
}

}  // namespace procession::detail
