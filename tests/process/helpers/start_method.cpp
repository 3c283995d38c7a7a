#include <signal.h>

#include <atomic>
#include <thread>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

constexpr auto server = StartMethod::ForkServer;

void require_refused(StartMethod method) {
  const StartMethod before = get_start_method();
  try {
    set_start_method(method);
  } catch (const StateError& error) {
    require(std::string(error.what()).size() > 20, "a sentence");
    require(get_start_method() == before, "nothing has changed");
    return;
  }
  require(false, "set_start_method() is refused");
}

const Scenario default_method("default_method", [](const Arguments&) {
  require(get_start_method() == server, "the default is the fork server");
  Process process([] { std::exit(5); });
  require_equal(run(process), 5, "exit code");
  require(detail::service_processes().size() == 1, "there is a fork server");
});

const Scenario set_once("set_method_once", [](const Arguments&) {
  set_start_method(StartMethod::Spawn);
  require(get_start_method() == StartMethod::Spawn, "it is set");
  require_refused(StartMethod::Fork);
  Process process([] { std::exit(5); });
  require_equal(run(process), 5, "exit code");
});

const Scenario after_use("set_method_after_use", [](const Arguments&) {
  Process process([] {});
  require_equal(run(process), 0, "exit code");
  require_refused(StartMethod::Spawn);
});

const Scenario force("force_method", [](const Arguments&) {
  set_start_method(StartMethod::Spawn);
  set_start_method(StartMethod::Fork, true);
  int local = 5;
  Process forked([&] { std::exit(local); });  // only Fork can do that
  require_equal(run(forked), 5, "exit code");
  set_start_method(server, true);
  Process served([&] { std::exit(local); });
  try {
    served.start();
    require(false, "a reference cannot be sent");
  } catch (const NotShippable&) {
  }
});

const Scenario of_one("method_of_one", [](const Arguments&) {
  require_equal(run_exiting(StartMethod::Fork, 5), 5, "exit code");
  require(get_start_method() == server, "the default is still the fork server");
});

pid_t server_pid() {
  const auto pids = detail::service_processes();
  require(pids.size() == 1, "there is one fork server");
  return pids.front();
}

const Scenario killed("server_killed", [](const Arguments&) {
  require_equal(run_exiting(server, 5), 5, "before");
  for (int i = 0; i < 5; ++i) {
    const pid_t first = server_pid();
    ::kill(first, SIGKILL);
    require_equal(run_exiting(server, 6), 6, "after");
    require(server_pid() != first, "another server");
  }
});

const Scenario killed_beside("server_killed_beside_children", [](const Arguments&) {
  Gate gate;
  Process process(
      {.start_method = server},
      [](std::string at) {
        pass(at);
        std::exit(5);
      },
      gate.path());
  process.start();
  ::kill(server_pid(), SIGKILL);
  require_equal(run_exiting(server, 6), 6, "another process");
  require(process.is_alive(), "the first runs on");
  gate.open();
  process.join();
  require_equal(process.exitcode().value(), 5, "its exit code");
});

const Scenario killed_often("server_killed_often", [](const Arguments&) {
  require_equal(run_exiting(server, 5), 5, "before");
  std::atomic<bool> done{false};
  std::thread killer([&] {
    while (!done) {
      for (const pid_t pid : detail::service_processes()) ::kill(pid, SIGKILL);
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 30; ++i) {
    Process process({.start_method = server}, [] { std::exit(5); });
    try {
      process.start();
    } catch (const SystemError&) {
      require(process.state() == ProcessState::New, "a start that fails leaves nothing");
      continue;
    }
    process.join();
    require_equal(process.exitcode().value(), 5, "exit code");
  }
  done = true;
  killer.join();
  require_equal(run_exiting(server, 6), 6, "afterwards");
  require(detail::service_processes().size() == 1, "one server is left");
});

const Scenario one_server("one_server", [](const Arguments&) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { wrong += run_exiting(server, 5) != 5; });
  }
  for (std::thread& thread : threads) thread.join();
  require_equal(wrong, 0, "wrong exit codes");
  require(detail::service_processes().size() == 1, "there is one server");
});

}  // namespace
}  // namespace procession::process_test
