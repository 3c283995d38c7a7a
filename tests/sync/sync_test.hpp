// What the tests of locks and events have in common.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>

#include "support/fixture.hpp"

namespace procession::sync_test {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test_support::Child;
using test_support::Pipe;
using test_support::start_child;

// A child that has done `first` by the time this returns, and is then stopped in a read for ever.
Child child_that(const std::function<void()>& first);

// Returns when thread `tid` of process `pid` sleeps in the system call `number`.
void await_sleep(pid_t pid, pid_t tid, long number);
// Sleeps on a futex, with or without futex_waitv.
void await_futex_sleep(pid_t pid, pid_t tid);
inline void await_futex_sleep(const Child& child) { await_futex_sleep(child.pid(), child.pid()); }

// A thread, and its tid once it runs.
class Thread {
 public:
  explicit Thread(const std::function<void()>& body);
  pid_t tid() const { return tid_; }
  void join() { thread_.join(); }

 private:
  pid_t tid_ = 0;
  std::jthread thread_;
};

// Threads and fork()ed processes, so that one test runs over both.
enum class Kind { Threads, Processes };
// Runs body(0..n-1) at once, each in a thread or child of its own, and waits; expects that they
// succeed.
void run_all(Kind kind, std::size_t n, const std::function<void(std::size_t)>& body);

}  // namespace procession::sync_test
