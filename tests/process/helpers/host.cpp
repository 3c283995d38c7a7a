#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

pid_t fork_child(int code) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(code);
  require(pid > 0, "the host can fork");
  return pid;
}

void use_library(StartMethod method) {
  require_equal(run_exiting(method, 5), 5, "exit code");
  require_equal(run_exiting(method, 0), 0, "exit code");
  Process killed({.start_method = method}, spin);
  killed.start();
  killed.kill();
  killed.join();
  require_equal(killed.exitcode().value(), -SIGKILL, "exit code of a killed process");
}

void require_own_child(pid_t pid, int code) {
  int status = 0;
  require_equal(::waitpid(pid, &status, 0), pid, "the host reaps its child");
  require(WIFEXITED(status) && WEXITSTATUS(status) == code, "with its status");
}

const Scenario ignores("ignores_sigchld", [](const Arguments& arguments) {
  ::signal(SIGCHLD, SIG_IGN);
  use_library(arguments.method(0));
  require(::signal(SIGCHLD, SIG_DFL) == SIG_IGN, "it is still ignored");
});

const Scenario usage_ignored("usage_without_sigchld", [](const Arguments& arguments) {
  ::signal(SIGCHLD, SIG_IGN);
  Process process({.start_method = arguments.method(0)}, [] {});
  require_equal(run(process), 0, "exit code");
  require(process.usage().peak_memory > 0, "the usage is known");
});

const Scenario ignores_later("ignores_sigchld_later", [](const Arguments& arguments) {
  Gate gate;
  Process process(
      {.start_method = arguments.method(0)},
      [](std::string at) {
        pass(at);
        std::exit(5);
      },
      gate.path());
  process.start();
  ::signal(SIGCHLD, SIG_IGN);
  gate.open();
  process.join();
  require_equal(process.exitcode().value(), 5, "exit code");
  use_library(arguments.method(0));
});

// The handler may run at any moment of a start, and takes whatever has ended by then.
const Scenario handler_reaps("reaps_all_in_its_handler", [](const Arguments& arguments) {
  struct sigaction mine {};
  mine.sa_handler = [](int) {
    const int saved = errno;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    errno = saved;
  };
  mine.sa_flags = SA_RESTART;
  ::sigaction(SIGCHLD, &mine, nullptr);
  for (int code = 0; code < 50; ++code) {
    require_equal(run_exiting(arguments.method(0), code), code, "exit code");
  }
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  require(::sigismember(&blocked, SIGCHLD) == 0, "no signal stays blocked");
});

std::atomic<int> signals{0};

const Scenario handles("handles_sigchld", [](const Arguments& arguments) {
  struct sigaction mine {};
  mine.sa_handler = [](int) { ++signals; };
  ::sigaction(SIGCHLD, &mine, nullptr);
  use_library(arguments.method(0));
  struct sigaction now {};
  ::sigaction(SIGCHLD, nullptr, &now);
  require(now.sa_handler == mine.sa_handler, "the handler is the host's");
  const int before = signals;
  const pid_t own = fork_child(3);
  int status = 0;
  while (::waitpid(own, &status, 0) < 0) require(errno == EINTR, "the host reaps its child");
  require(signals > before, "the host hears of its own child");
});

const Scenario reaps_own("reaps_its_own", [](const Arguments& arguments) {
  const pid_t before = fork_child(3);
  use_library(arguments.method(0));
  const pid_t after = fork_child(4);
  use_library(arguments.method(0));
  require_own_child(before, 3);
  require_own_child(after, 4);
});

const Scenario waits_any("waits_for_any", [](const Arguments& arguments) {
  use_library(arguments.method(0));
  Gate gate;
  Process running({.start_method = arguments.method(0)}, pass, gate.path());
  running.start();
  Process ended({.start_method = arguments.method(0)}, [] { std::exit(6); });
  ended.start();
  std::set<pid_t> own;
  for (int i = 0; i < 3; ++i) own.insert(fork_child(i));
  for (pid_t pid; (pid = ::waitpid(-1, nullptr, 0)) > 0;) {
    require(own.erase(pid) == 1, "the host met a process of the library");
  }
  require(own.empty() && errno == ECHILD, "the host met all of its own");
  gate.open();
  running.join();
  ended.join();
  require_equal(running.exitcode().value(), 0, "exit code of one that ran");
  require_equal(ended.exitcode().value(), 6, "exit code of one that had ended");
});

const Scenario waits_always("waits_for_any_all_the_time", [](const Arguments& arguments) {
  std::atomic<bool> done{false};
  std::atomic<int> met{0};
  std::thread reaper([&] {
    while (!done) met += ::waitpid(-1, nullptr, WNOHANG) > 0;
  });
  for (int i = 0; i < 10; ++i) use_library(arguments.method(0));
  done = true;
  reaper.join();
  // What the host forked itself through StartMethod::Fork is its child like any other.
  if (arguments.method(0) == StartMethod::Fork) return;
  require_equal(met, 0, "processes of the library that the host has met");
});

const Scenario forks_beside("forks_beside", [](const Arguments& arguments) {
  Gate gate;
  Process running({.start_method = arguments.method(0)}, pass, gate.path());
  running.start();
  std::set<pid_t> own;
  for (int i = 0; i < 5; ++i) own.insert(fork_child(0));  // copies that just go away
  for (const pid_t pid : own) require_own_child(pid, 0);
  require(running.is_alive(), "their end is not noticed");
  gate.open();
  running.join();
  require_equal(running.exitcode().value(), 0, "exit code");
  use_library(arguments.method(0));
});

}  // namespace
}  // namespace procession::process_test
