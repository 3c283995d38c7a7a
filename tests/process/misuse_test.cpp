// What the state of a Process does not allow: StateError, with a sentence, and nothing changed.

#include <signal.h>

#include <utility>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessMisuse : public EachMethod {};
FOR_EACH_START_METHOD(ProcessMisuse);

// Every call that a Process has, but close().
std::vector<std::pair<const char*, std::function<void(Process&)>>> every_call() {
  return {{"start", [](Process& p) { p.start(); }},
          {"join", [](Process& p) { p.join(); }},
          {"join(duration)", [](Process& p) { (void)p.join(1ms); }},
          {"is_alive", [](Process& p) { (void)p.is_alive(); }},
          {"terminate", [](Process& p) { p.terminate(); }},
          {"kill", [](Process& p) { p.kill(); }},
          {"interrupt", [](Process& p) { p.interrupt(); }},
          {"send_signal", [](Process& p) { p.send_signal(SIGUSR1); }},
          {"pid", [](Process& p) { (void)p.pid(); }},
          {"name", [](Process& p) { (void)p.name(); }},
          {"set_name", [](Process& p) { p.set_name("other"); }},
          {"daemon", [](Process& p) { (void)p.daemon(); }},
          {"set_daemon", [](Process& p) { p.set_daemon(true); }},
          {"exitcode", [](Process& p) { (void)p.exitcode(); }},
          {"state", [](Process& p) { (void)p.state(); }},
          {"usage", [](Process& p) { (void)p.usage(); }},
          {"sentinel", [](Process& p) { (void)p.sentinel(); }}};
}

void expect_every_call_refused(Process& process) {
  for (const auto& [name, call] : every_call()) {
    SCOPED_TRACE(name);
    expect_error<StateError>([&] { call(process); });
  }
}

TEST_P(ProcessMisuse, StartingTwice) {
  Gate gate;
  ProcessOptions named = options();
  named.name = "reader";
  Process process(named, pass, gate.path());
  process.start();
  const pid_t pid = process.pid();
  expect_error<StateError>([&] { process.start(); }, {"reader", "start"});
  EXPECT_EQ(process.pid(), pid);
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
  expect_error<StateError>([&] { process.start(); }, {"reader", "start"});
}

TEST_P(ProcessMisuse, CallsThatNeedAStartedProcess) {
  ProcessOptions named = options();
  named.name = "reader";
  Process process(named, [] {});
  expect_error<StateError>([&] { process.join(); }, {"reader", "start"});
  expect_error<StateError>([&] { (void)process.join(1ms); }, {"reader", "start"});
  expect_error<StateError>([&] { process.terminate(); }, {"reader", "start"});
  expect_error<StateError>([&] { process.kill(); }, {"reader", "start"});
  expect_error<StateError>([&] { process.interrupt(); }, {"reader", "start"});
  expect_error<StateError>([&] { process.send_signal(SIGUSR1); }, {"reader", "start"});
  expect_error<StateError>([&] { (void)process.sentinel(); }, {"reader", "start"});
  EXPECT_EQ(run(process), 0);
}

TEST_P(ProcessMisuse, QuestionsThatAProcessAnswersBeforeItIsStarted) {
  Process process(options(), [] {});
  EXPECT_EQ(process.pid(), 0);
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), std::nullopt);
  EXPECT_EQ(process.state(), ProcessState::New);
  EXPECT_FALSE(process.daemon());
  EXPECT_NE(process.name(), "");
}

TEST_P(ProcessMisuse, SetDaemonAfterTheStart) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.set_daemon(true);
  EXPECT_TRUE(process.daemon());
  process.set_daemon(false);
  process.start();
  expect_error<StateError>([&] { process.set_daemon(true); }, {process.name()});
  EXPECT_FALSE(process.daemon());
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
  expect_error<StateError>([&] { process.set_daemon(true); }, {process.name()});
}

TEST_P(ProcessMisuse, ClosingAProcessThatRuns) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  expect_error<StateError>([&] { process.close(); }, {process.name()});
  EXPECT_TRUE(process.is_alive());
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessMisuse, EveryCallAfterClose) {
  Process process(options(), [] {});
  EXPECT_EQ(run(process), 0);
  process.close();
  expect_every_call_refused(process);
  expect_error<StateError>([&] { process.close(); });
}

TEST_P(ProcessMisuse, EveryCallAfterTheCloseOfAProcessThatWasNeverStarted) {
  Process process(options(), [] {});
  process.close();
  expect_every_call_refused(process);
}

TEST_P(ProcessMisuse, EveryCallOfAMovedFromProcess) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  Process owner(std::move(process));
  expect_every_call_refused(process);
  expect_error<StateError>([&] { process.close(); });
  gate.open();
  EXPECT_EQ(exitcode_of(owner), 0);
}

TEST_P(ProcessMisuse, AMovedFromProcessCanBeAssignedTo) {
  Process process(options(), [] {});
  Process owner(std::move(process));
  process = Process(options(), [] {});
  EXPECT_EQ(run(process), 0);
  EXPECT_EQ(run(owner), 0);
}

TEST_P(ProcessMisuse, ClosingFromTheDescriptorsEndOnIsAllowed) {
  Process process(options(), [] {});
  process.start();
  ASSERT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(patience)));
  EXPECT_NO_THROW(process.close());  // it has ended, though nobody has joined
}

// A child that inherited the object by fork() is not the parent of that process.
TEST(ProcessMisuseByAChild, JoiningAProcessOfTheParent) {
  Gate gate;
  Process sibling({.start_method = StartMethod::Fork}, pass, gate.path());
  sibling.start();
  Process child({.start_method = StartMethod::Fork}, [&] {
    try {
      sibling.join();
    } catch (const StateError&) {
      std::exit(11);
    }
    std::exit(12);
  });
  EXPECT_EQ(run(child), 11);
  EXPECT_TRUE(sibling.is_alive());
  gate.open();
  EXPECT_EQ(exitcode_of(sibling), 0);
}

// The child's copy of the Process is destroyed with the child. That must not touch the process.
TEST(ProcessMisuseByAChild, TheChildsCopyOfADaemonIsNotItsToTerminate) {
  Gate gate;
  Process daemon({.daemon = true, .start_method = StartMethod::Fork}, pass, gate.path());
  daemon.start();
  Process child({.start_method = StartMethod::Fork}, [&] { Process mine(std::move(daemon)); });
  EXPECT_EQ(run(child), 0);
  EXPECT_TRUE(daemon.is_alive());
  gate.open();
  EXPECT_EQ(exitcode_of(daemon), 0);
}

}  // namespace
}  // namespace procession::process_test
