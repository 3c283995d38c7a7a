#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

// A child that says who it is, then waits.
void wait_at(std::string mailbox, std::string gate) {
  post(mailbox, std::to_string(::getpid()));
  pass(gate);
  post(mailbox, "passed");
}

// A daemon, which waits for ever, and an ordinary child, both started and announced.
struct Pair {
  Pair(StartMethod method, const std::string& mailbox, const std::string& gate,
       const std::string& never)
      : daemon({.daemon = true, .start_method = method}, pass, never),
        other({.start_method = method}, pass, gate) {
    daemon.start();
    other.start();
    post(mailbox, std::to_string(daemon.pid()));
    post(mailbox, std::to_string(other.pid()));
  }
  Process daemon, other;
};

void end_with_a_pair(StartMethod method, const std::string& end, const std::string& mailbox,
                     const std::string& gate, const std::string& never) {
  if (end == "return") {
    Pair pair(method, mailbox, gate, never);
    post(mailbox, "ending");
    return;
  }
  // No destructor: what ends them is the end of the process. Still reachable then, so not a leak.
  [[maybe_unused]] static Pair* kept = nullptr;
  kept = new Pair(method, mailbox, gate, never);
  post(mailbox, "ending");
  if (end == "exit") std::exit(7);
  if (end == "throw") throw std::runtime_error("on purpose");
}

const Scenario ends_by_itself("ends_by_itself", [](const Arguments& a) {
  end_with_a_pair(a.method(0), a.text(1), a.text(2), a.text(3), a.text(4));
});

const Scenario child_ends("child_ends_by_itself", [](const Arguments& a) {
  Process child({.start_method = a.method(0)}, end_with_a_pair, a.method(0), a.text(1), a.text(2),
                a.text(3), a.text(4));
  post(a.text(2), std::to_string(run(child)));
});

const Scenario is_killed("is_killed", [](const Arguments& a) {
  Process daemon({.daemon = true, .start_method = a.method(0)}, pass, a.text(3));
  daemon.start();
  post(a.text(1), std::to_string(daemon.pid()));
  Process other({.start_method = a.method(0)}, wait_at, a.text(1), a.text(2));
  other.start();
  daemon.join();
});

const Scenario daemons("daemons_one_after_the_other", [](const Arguments& a) {
  std::vector<Process> all;
  for (int i = 0; i < 12; ++i) {
    all.emplace_back(ProcessOptions{.daemon = true, .start_method = a.method(0)}, wait_at,
                     a.text(1), a.text(2));
    all.back().start();
  }
  all.front().join();
});

const Scenario thread_starts("thread_starts_a_daemon", [](const Arguments& a) {
  Process daemon(
      {.daemon = true, .start_method = a.method(0)},
      [](std::string mailbox, std::string gate, std::string never) {
        pass(gate);
        post(mailbox, "still here");
        pass(never);
      },
      a.text(1), a.text(2), a.text(3));
  std::thread([&] { daemon.start(); }).join();
  post(a.text(1), std::to_string(daemon.pid()));
  post(a.text(1), "the thread has ended");
  daemon.join();
});

void chain(StartMethod method, std::string mailbox, std::string gate, std::string never,
           int depth) {
  post(mailbox, std::to_string(::getpid()));
  Process next = depth == 0 ? Process({.start_method = method}, wait_at, mailbox, gate)
                            : Process({.daemon = true, .start_method = method}, chain, method,
                                      mailbox, gate, never, depth - 1);
  next.start();
  pass(never);
}

const Scenario daemon_chain("daemon_chain", [](const Arguments& a) {
  Process first({.daemon = true, .start_method = a.method(0)}, chain, a.method(0), a.text(1),
                a.text(2), a.text(3), 1);
  first.start();
  first.join();
});

const Scenario daemon_below("daemon_below_ordinary", [](const Arguments& a) {
  Process middle(
      {.start_method = a.method(0)},
      [](StartMethod method, std::string mailbox, std::string never) {
        post(mailbox, std::to_string(::getpid()));
        Process daemon({.daemon = true, .start_method = method}, wait_at, mailbox, never);
        daemon.start();
        pass(never);
      },
      a.method(0), a.text(1), a.text(2));
  middle.start();
  middle.join();
});

const Scenario orphan_starts("orphan_starts", [](const Arguments& a) {
  Process orphan(
      {.start_method = a.method(0)},
      [](StartMethod method, std::string mailbox, std::string gate) {
        post(mailbox, std::to_string(::getpid()));
        pass(gate);
        Process child({.start_method = method}, [] { std::exit(5); });
        post(mailbox, std::to_string(run(child)));
      },
      a.method(0), a.text(1), a.text(2));
  orphan.start();
  orphan.join();
});

}  // namespace
}  // namespace procession::process_test
