#include "sync_test.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <exception>
#include <fstream>
#include <future>
#include <string>
#include <vector>

namespace procession::sync_test {
namespace {

constexpr long futex_waitv = 449;

// The number of the system call that the thread sleeps in; -1: it runs.
long sleeping_in(pid_t pid, pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/syscall");
  long number = -1;
  file >> number;
  return file ? number : -1;
}

template <class Condition>
void await(Condition condition) {
  const test_support::Deadline deadline(20s);
  while (!condition()) {
    if (deadline.passed()) {
      ADD_FAILURE() << "a thread did not fall asleep";
      return;
    }
    std::this_thread::yield();
  }
}

}  // namespace

Child child_that(const std::function<void()>& first) {
  auto done = std::make_shared<Pipe>();
  auto never = std::make_shared<Pipe>();
  Child child = start_child([&] {
    first();
    done->send('x');
    never->receive<char>();
  });
  EXPECT_EQ(done->receive<char>(), 'x');
  return child;
}

void await_sleep(pid_t pid, pid_t tid, long number) {
  await([&] { return sleeping_in(pid, tid) == number; });
}

void await_futex_sleep(pid_t pid, pid_t tid) {
  await([&] {
    const long number = sleeping_in(pid, tid);
    return number == SYS_futex || number == futex_waitv;
  });
}

Thread::Thread(const std::function<void()>& body) {
  std::promise<pid_t> started;
  auto tid = started.get_future();
  thread_ = std::jthread([body, &started] {
    started.set_value(static_cast<pid_t>(::syscall(SYS_gettid)));
    body();
  });
  tid_ = tid.get();
}

void run_all(Kind kind, std::size_t n, const std::function<void(std::size_t)>& body) {
  if (kind == Kind::Threads) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < n; ++i) {
      threads.emplace_back([&body, i] { EXPECT_NO_THROW(body(i)); });
    }
    return;
  }
  std::vector<Child> children;
  for (std::size_t i = 0; i < n; ++i) children.push_back(start_child([&, i] { body(i); }));
  for (Child& child : children) EXPECT_EQ(child.wait(), (test_support::ChildStatus{0, 0}));
}

}  // namespace procession::sync_test
