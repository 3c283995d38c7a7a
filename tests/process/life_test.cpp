// A process from start to end: exit codes, joins, signals.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessLife : public EachMethod {};
FOR_EACH_START_METHOD(ProcessLife);

TEST_P(ProcessLife, ATargetThatReturnsExitsWithZero) {
  Process process(options(), [] {});
  EXPECT_EQ(process.exitcode(), std::nullopt);
  EXPECT_EQ(run(process), 0);
}

TEST_P(ProcessLife, TheTargetRunsInAnotherProcessWithItsArguments) {
  Mailbox mailbox;
  Process process(
      options(),
      [](std::string to, int number) {
        post(to, std::to_string(::getpid()));
        post(to, std::to_string(number + 1));
      },
      mailbox.path(), 41);
  process.start();
  const pid_t pid = mailbox.receive_number();
  EXPECT_EQ(mailbox.receive_number(), 42);
  EXPECT_NE(pid, ::getpid());
  EXPECT_EQ(pid, process.pid());
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessLife, AResultOfTheTargetIsNoExitCode) {
  Process process(options(), [] { return 5; });
  EXPECT_EQ(run(process), 0);
}

TEST_P(ProcessLife, ExitGivesTheLowEightBits) {
  for (const auto& [given, seen] : std::vector<std::pair<int, int>>{
           {0, 0}, {3, 3}, {255, 255}, {256, 0}, {256 + 7, 7}, {-1, 255}}) {
    Process process(
        options(), [](int code) { std::exit(code); }, given);
    EXPECT_EQ(run(process), seen) << given;
  }
}

TEST_P(ProcessLife, LeavingWithoutAnyCleanUpIsAnExitToo) {
  Process process(options(), [] { ::_exit(9); });
  EXPECT_EQ(run(process), 9);
}

TEST_P(ProcessLife, AThreadOfTheChildMayExit) {
  Process process(options(), [] { std::thread([] { std::exit(6); }).join(); });
  EXPECT_EQ(run(process), 6);
}

TEST_P(ProcessLife, ASignalIsItsNegativeNumber) {
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGUSR1, SIGPIPE}) {
    Process process(
        options(), [](int number) { ::raise(number); }, signal);
    EXPECT_EQ(run(process), -signal);
  }
}

TEST_P(ProcessLife, AbortIsASignal) {
  ProcessOptions quiet = options();
  quiet.limits.core_dump = 0;
  Process process(quiet, [] { std::abort(); });
  EXPECT_EQ(run(process), -SIGABRT);
}

TEST_P(ProcessLife, ASegmentationFaultIsASignal) {
  if (test_support::under_asan || test_support::under_tsan) GTEST_SKIP() << "sanitizers report it";
  ProcessOptions quiet = options();
  quiet.limits.core_dump = 0;
  Process process(quiet, [] {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  });
  EXPECT_EQ(run(process), -SIGSEGV);
}

TEST_P(ProcessLife, JoinWithADurationSaysWhetherItHasEnded) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  EXPECT_FALSE(process.join(10ms));
  EXPECT_FALSE(process.join(0s));
  EXPECT_FALSE(process.join(-1h));
  EXPECT_TRUE(process.is_alive());
  EXPECT_EQ(process.exitcode(), std::nullopt);
  gate.open();
  EXPECT_TRUE(process.join(patience));
  EXPECT_TRUE(process.join(0s));
  EXPECT_FALSE(process.is_alive());
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST_P(ProcessLife, DurationsOfAnyUnitAndSizeAreTaken) {
  Process process(options(), [] {});
  process.start();
  EXPECT_TRUE(process.join(std::chrono::duration<double>(20.5)));
  EXPECT_TRUE(process.join(std::chrono::hours(1)));
  EXPECT_TRUE(process.join(std::chrono::nanoseconds::max()));
}

TEST_P(ProcessLife, TheEndIsSeenWithoutAJoin) {
  Process process(options(), [] { std::exit(4); });
  process.start();
  ASSERT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(patience)));
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), 4);
}

TEST_P(ProcessLife, SignalsEndIt) {
  const std::vector<std::pair<void (Process::*)(), int>> ways{
      {&Process::terminate, SIGTERM}, {&Process::kill, SIGKILL}, {&Process::interrupt, SIGINT}};
  for (const auto& [way, signal] : ways) {
    Gate gate;
    Mailbox mailbox;
    Process process(
        options(),
        [](std::string to, std::string at) {
          post(to, "here");
          pass(at);
        },
        mailbox.path(), gate.path());
    process.start();
    EXPECT_EQ(mailbox.receive(), "here");
    (process.*way)();
    EXPECT_EQ(exitcode_of(process), -signal);
  }
}

TEST_P(ProcessLife, SignalsReachAProcessThatHasJustBeenStarted) {
  Gate gate;
  for (int i = 0; i < 20 && !HasFailure(); ++i) {
    Process process(options(), pass, gate.path());
    process.start();
    process.terminate();
    EXPECT_EQ(exitcode_of(process), -SIGTERM) << "attempt " << i;
  }
}

TEST_P(ProcessLife, AnySignalCanBeSent) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  process.send_signal(SIGSTOP);
  EXPECT_TRUE(process.is_alive());
  EXPECT_FALSE(process.join(10ms));  // a stopped process has not ended
  process.send_signal(SIGCONT);
  process.send_signal(SIGUSR2);
  EXPECT_EQ(exitcode_of(process), -SIGUSR2);
}

TEST_P(ProcessLife, ASignalThatDoesNotExistIsRefused) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  EXPECT_ANY_THROW(process.send_signal(999));
  EXPECT_TRUE(process.is_alive());
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessLife, SignalsAfterTheEndAreNoError) {
  Process process(options(), [] {});
  EXPECT_EQ(run(process), 0);
  EXPECT_NO_THROW(process.terminate());
  EXPECT_NO_THROW(process.kill());
  EXPECT_NO_THROW(process.interrupt());
  EXPECT_NO_THROW(process.send_signal(SIGUSR1));
  EXPECT_EQ(process.exitcode(), 0);
}

TEST_P(ProcessLife, SignalsBetweenTheEndAndTheJoinAreNoError) {
  Process process(options(), [] {});
  process.start();
  ASSERT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(patience)));
  EXPECT_NO_THROW(process.kill());
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessLife, TheDestructorJoinsAnOrdinaryProcess) {
  const std::string file = unique_path("written");
  {
    Process process(
        options(), [](std::string path) { ::close(::creat(path.c_str(), 0600)); }, file);
    process.start();
  }
  EXPECT_EQ(::unlink(file.c_str()), 0) << "it had not run to its end";
}

TEST_P(ProcessLife, TheDestructorTerminatesADaemon) {
  Gate gate;
  std::optional<Watched> watched;
  {
    ProcessOptions daemon = options();
    daemon.daemon = true;
    Process process(daemon, pass, gate.path());
    process.start();
    watched.emplace(process.pid());
  }
  EXPECT_TRUE(watched->has_ended());
}

TEST_P(ProcessLife, TheDestructorEndsADaemonThatDoesNotHeedSigterm) {
  Gate gate;
  Mailbox mailbox;
  std::optional<Watched> watched;
  {
    ProcessOptions daemon = options();
    daemon.daemon = true;
    Process process(
        daemon,
        [](std::string to, std::string at) {
          ::signal(SIGTERM, SIG_IGN);
          post(to, "deaf");
          pass(at);
        },
        mailbox.path(), gate.path());
    process.start();
    EXPECT_EQ(mailbox.receive(), "deaf");
    watched.emplace(process.pid());
  }
  EXPECT_TRUE(watched->has_ended());
}

TEST_P(ProcessLife, AProcessCanBeMovedWhileItRuns) {
  Gate gate;
  Process first(options(), pass, gate.path());
  first.start();
  const pid_t pid = first.pid();
  Process second(std::move(first));
  EXPECT_EQ(second.pid(), pid);
  EXPECT_TRUE(second.is_alive());
  gate.open();
  EXPECT_EQ(exitcode_of(second), 0);
}

TEST_P(ProcessLife, AssignmentEndsWhatWasOwned) {
  Gate gate;
  ProcessOptions daemon = options();
  daemon.daemon = true;
  Process process(daemon, pass, gate.path());
  process.start();
  const Watched watched(process.pid());
  process = Process(options(), [] { std::exit(2); });
  EXPECT_TRUE(watched.has_ended());
  EXPECT_EQ(run(process), 2);
}

TEST_P(ProcessLife, AProcessThatIsNeverStartedIsNoTrouble) {
  Process process(options(), [] { std::abort(); });
  EXPECT_FALSE(process.is_alive());
}

TEST_P(ProcessLife, CloseGivesUpAProcessThatHasEnded) {
  Process process(options(), [] {});
  EXPECT_EQ(run(process), 0);
  EXPECT_NO_THROW(process.close());
}

}  // namespace
}  // namespace procession::process_test
