#include "support/child.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>

namespace procession::test_support {
namespace {

[[noreturn]] void fail(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

ChildStatus decode(int status) {
  if (WIFEXITED(status)) return {WEXITSTATUS(status), 0};
  return {-1, WTERMSIG(status)};
}

int run_body(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the child threw: %s\n", error.what());
    return child_threw;
  } catch (...) {
    std::fprintf(stderr, "the child threw something that is no std::exception\n");
    return child_threw;
  }
  return ::testing::Test::HasFailure() ? child_failed : 0;
}

}  // namespace

std::chrono::nanoseconds Deadline::remaining() const {
  const auto left = end_ - std::chrono::steady_clock::now();
  return left.count() > 0 ? left : std::chrono::nanoseconds{0};
}

bool wait_for(int descriptor, short events, const Deadline& deadline) {
  for (;;) {
    const auto left = deadline.remaining();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{seconds.count(), (left - seconds).count()};
    pollfd entry{descriptor, events, 0};
    const int ready = ::ppoll(&entry, 1, &limit, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) fail("ppoll");
  }
}

Child::Child(Child&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }

Child::~Child() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

void Child::kill(int signal) const {
  if (::kill(pid_, signal) != 0) fail("kill");
}

ChildStatus Child::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  pid_ = 0;
  return decode(status);
}

std::optional<ChildStatus> Child::wait(const Deadline& deadline) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd < 0) fail("pidfd_open");
  const bool ended = wait_readable(pidfd, deadline);
  ::close(pidfd);
  if (!ended) return std::nullopt;
  return wait();
}

Child start_child(const std::function<void()>& body) {
  std::fflush(nullptr);  // or the child would print the parent's buffered lines again
  const pid_t pid = ::fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    const int code = run_body(body);
    std::fflush(nullptr);
    ::_exit(code);
  }
  return Child(pid);
}

ChildStatus run_child(const std::function<void()>& body) { return start_child(body).wait(); }

void die_by(int signal) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
  ::abort();
}

Pipe::Pipe() {
  if (::pipe2(ends_, O_CLOEXEC) != 0) fail("pipe2");
}

Pipe::~Pipe() {
  close_read();
  close_write();
}

void Pipe::close_read() {
  if (ends_[0] >= 0) ::close(ends_[0]);
  ends_[0] = -1;
}

void Pipe::close_write() {
  if (ends_[1] >= 0) ::close(ends_[1]);
  ends_[1] = -1;
}

void Pipe::write_all(const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(ends_[1], at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write to a test's pipe");
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

bool Pipe::read_all(void* data, std::size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::read(ends_[0], at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read from a test's pipe");
    if (got == 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace procession::test_support
