#include "sync/contestant.hpp"

#include <signal.h>
#include <unistd.h>

namespace procession::sync_test {

std::string name_of(By by) {
  switch (by) {
    case By::Thread:
      return "threads";
    case By::Fork:
      return "children of fork()";
    case By::ProcessFork:
      return "processes by Fork";
    case By::ProcessForkServer:
      return "processes by ForkServer";
    case By::ProcessSpawn:
      return "processes by Spawn";
  }
  return "?";
}

ProcessOptions Contestant::options_of(By by) {
  ProcessOptions options;
  options.name = "contestant";
  options.start_method = by == By::ProcessFork         ? StartMethod::Fork
                         : by == By::ProcessForkServer ? StartMethod::ForkServer
                                                       : StartMethod::Spawn;
  return options;
}

pid_t Contestant::pid() const {
  if (const auto* child = std::get_if<Child>(&runs_)) return child->pid();
  if (const auto* process = std::get_if<Process>(&runs_)) return process->pid();
  return ::getpid();
}

void Contestant::await_sleep() const {
  const auto* thread = std::get_if<Thread>(&runs_);
  await_futex_sleep(pid(), thread != nullptr ? thread->tid() : pid());
}

void Contestant::expect_success() { expect_end(0, 0); }
void Contestant::expect_killed() { expect_end(-1, SIGKILL); }

void Contestant::expect_end(int code, int signal) {
  if (auto* thread = std::get_if<Thread>(&runs_)) {
    thread->join();
  } else if (auto* child = std::get_if<Child>(&runs_)) {
    const auto status = child->wait(test_support::Deadline(patience));
    EXPECT_EQ(status, (test_support::ChildStatus{code, signal}));
  } else {
    auto& process = std::get<Process>(runs_);
    const bool ended = process.join(patience);
    EXPECT_TRUE(ended) << "it did not end";
    if (!ended) process.kill();
    process.join();
    EXPECT_EQ(process.exitcode(), signal != 0 ? -signal : code);
  }
}

}  // namespace procession::sync_test
