// What the tests of this layer share: children made, watched and reaped by this layer itself.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "support/fixture.hpp"
#include "system/descriptor.hpp"
#include "system/process.hpp"

namespace procession::detail {

// Every test program checks after each test that nothing is left behind.
using SystemTest = testing::Test;

// A pipe of bytes between a test and its child: how one knows how far the other is.
class Bytes {
 public:
  Bytes() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) std::abort();
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }
  void send(char byte = '.') const { EXPECT_EQ(::write(write_.get(), &byte, 1), 1); }
  // '\0' when nobody is left to send.
  char receive() const {
    char byte = '\0';
    ssize_t got = 0;
    while ((got = ::read(read_.get(), &byte, 1)) < 0 && errno == EINTR) continue;
    return got == 1 ? byte : '\0';
  }
  void close_write() { write_.reset(); }
  void close_read() { read_.reset(); }

 private:
  Descriptor read_;
  Descriptor write_;
};

// A child that runs `body` and exits with what it returns. Killed and reaped when it goes out of
// scope.
class TestChild {
 public:
  template <class F>
  explicit TestChild(F body) : fork_(fork_server_child()) {
    if (fork_.pid == 0) ::_exit(body());
  }
  ~TestChild() {
    if (reaped_) return;
    send_signal(fork_.pidfd.get(), SIGKILL);
    (void)reap(fork_.pidfd.get(), true);
  }
  TestChild(const TestChild&) = delete;
  TestChild& operator=(const TestChild&) = delete;

  pid_t pid() const { return fork_.pid; }
  int pidfd() const { return fork_.pidfd.get(); }
  void signal(int number) const { EXPECT_TRUE(send_signal(pidfd(), number)); }

  // Until the child is stopped (by a SIGSTOP sent before).
  void wait_stopped() const {
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid()), &info, WSTOPPED), 0);
  }
  // Until the child has ended; it stays to be reaped.
  void wait_ended() const { EXPECT_TRUE(wait_pidfd(pidfd(), std::nullopt)); }

  ExitRecord finish() {
    reaped_ = true;
    const auto record = reap(pidfd(), true);
    EXPECT_TRUE(record.has_value());
    return record.value_or(ExitRecord{});
  }
  int exitcode() { return exitcode_of(finish().status); }
  void forget() { reaped_ = true; }

 private:
  ForkResult fork_;
  bool reaped_ = false;
};

// Makes orphaned grandchildren this process's to reap, as the machine may have no init that does.
class Subreaper {
 public:
  Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;
};

}  // namespace procession::detail
