// The checks that guard every other test are themselves tested: each kind of leak is made on
// purpose, once against a Snapshot and once as a test program of its own that has to fail.
#include "support/fixture.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "support/supervisor.hpp"

namespace procession::test_support {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

TEST(SnapshotTest, NothingDoneLeavesNothing) {
  EXPECT_THAT(Snapshot::take().leftovers(), IsEmpty());
}

TEST(SnapshotTest, AnOpenDescriptorIsNamedWithItsTarget) {
  const Snapshot before = Snapshot::take();
  const int leak = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_THAT(before.leftovers(),
              ElementsAre("left behind: descriptor " + std::to_string(leak) + " -> /dev/null"));
  ::close(leak);
}

TEST(SnapshotTest, AClosedDescriptorOfSomebodyElseIsNoticed) {
  const int victim = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Snapshot before = Snapshot::take();
  ::close(victim);
  EXPECT_THAT(before.leftovers(), ElementsAre(StartsWith("closed, but open before the test")));
}

TEST(SnapshotTest, ARunningChildIsNoticed) {
  const Snapshot before = Snapshot::take();
  Child child = start_child([] { ::pause(); });
  EXPECT_THAT(before.leftovers(),
              ElementsAre(AllOf(HasSubstr("process " + std::to_string(child.pid())),
                                HasSubstr("child of " + std::to_string(::getpid())))));
}

TEST(SnapshotTest, AChildThatNobodyWaitedForIsNoticed) {
  const Snapshot before = Snapshot::take();
  Child child = start_child([] {});
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(before.leftovers(), ElementsAre(HasSubstr("ended but not waited for")));
}

TEST(SnapshotTest, ALivingOrphanIsNoticedAndRemoved) {
  if (supervisor_pid() == 0) GTEST_SKIP() << "orphans are seen below the supervisor only";
  const Snapshot before = Snapshot::take();
  Pipe report;
  run_child([&] {
    const pid_t orphan = ::fork();
    if (orphan == 0) {
      for (;;) ::pause();
    }
    report.send(orphan);
  });
  const pid_t orphan = report.receive<pid_t>().value();
  report.close_read();
  report.close_write();
  EXPECT_THAT(before.leftovers(true), ElementsAre(HasSubstr(std::to_string(orphan))));
  EXPECT_THAT(before.leftovers(), IsEmpty());
}

TEST(SnapshotTest, AnOrphanThatIsEndingIsWaitedFor) {
  if (supervisor_pid() == 0) GTEST_SKIP() << "orphans are seen below the supervisor only";
  Pipe hold;
  const Snapshot before = Snapshot::take();
  run_child([&] {
    if (::fork() == 0) {
      hold.close_write();
      hold.receive<char>();
      ::_exit(0);
    }
  });
  hold.close_write();  // the orphan ends now, or a little later
  std::vector<std::string> only_descriptor = before.leftovers();
  EXPECT_THAT(only_descriptor, ElementsAre(StartsWith("closed, but open before the test")));
}

TEST(SnapshotTest, SharedMemoryWithANameIsNoticed) {
  const std::string name = "/" + unique_name("shm");
  const Snapshot before = Snapshot::take();
  ::close(::shm_open(name.c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_THAT(before.leftovers(), ElementsAre("left behind: /dev/shm" + name));
  ::shm_unlink(name.c_str());
}

TEST(SnapshotTest, ATemporaryFileIsNoticed) {
  if (supervisor_pid() == 0) GTEST_SKIP() << "below the supervisor only";
  const std::string path = temporary_folder() + "/file";
  const Snapshot before = Snapshot::take();
  ::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_THAT(before.leftovers(), ElementsAre("left behind: " + path));
  ::unlink(path.c_str());
}

TEST(SnapshotTest, SharedMemoryOfAStrangerIsNotOurs) {
  // Named after another living process, as a test that runs beside this one would do.
  const std::string name = "/procession-test-1-" + unique_name("stranger").substr(16);
  const Snapshot before = Snapshot::take();
  ::close(::shm_open(name.c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_THAT(before.leftovers(), IsEmpty());
  ::shm_unlink(name.c_str());
}

TEST(SnapshotTest, ServicesMayStay) {
  const Snapshot before = Snapshot::take();
  Child service = start_child([] { ::pause(); });
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  set_services({[&] { return std::vector<pid_t>{service.pid()}; },
                [&] { return std::vector<int>{descriptor}; }});
  EXPECT_THAT(before.leftovers(), IsEmpty());
  set_services({[] { return std::vector<pid_t>{}; }, [] { return std::vector<int>{}; }});
  EXPECT_THAT(before.leftovers(), ::testing::SizeIs(2));
  ::close(descriptor);
}

TEST(SnapshotTest, ALivingChildOfAServiceIsNoticed) {
  const Snapshot before = Snapshot::take();
  Pipe report;
  Child service = start_child([&] {
    report.send(::getpid());
    Child worker = start_child([&] {
      report.send(::getpid());
      ::pause();
    });
    ::pause();
  });
  report.receive<pid_t>();
  const pid_t worker = report.receive<pid_t>().value();
  report.close_read();
  report.close_write();
  set_services(
      {[&] { return std::vector<pid_t>{service.pid()}; }, [] { return std::vector<int>{}; }});
  EXPECT_THAT(before.leftovers(true), ElementsAre(HasSubstr(std::to_string(worker))));
  service.kill();
  service.wait();
}

TEST(ChildTest, StatusTellsHowItEnded) {
  EXPECT_EQ(run_child([] {}), (ChildStatus{0, 0}));
  EXPECT_EQ(run_child([] { ::_exit(7); }), (ChildStatus{7, 0}));
  EXPECT_EQ(run_child([] { die_by(SIGSEGV); }), (ChildStatus{-1, SIGSEGV}));
  EXPECT_EQ(run_child([] { throw 1; }), (ChildStatus{child_threw, 0}));
}

TEST(ChildTest, AFailedExpectationInTheChildIsSeenInItsStatus) {
  ::testing::internal::CaptureStdout();
  const ChildStatus status = run_child([] { ADD_FAILURE(); });
  ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(status.code, child_failed);
}

TEST(ChildTest, WaitingGivesUpAtTheDeadline) {
  Child child = start_child([] { ::pause(); });
  EXPECT_FALSE(child.wait(Deadline(1ms)));
  child.kill();
  EXPECT_EQ(child.wait(Deadline(30s)), (ChildStatus{-1, SIGKILL}));
}

TEST(PipeTest, TheEndOfTheWriterIsTheEndOfTheStream) {
  Pipe pipe;
  Child child = start_child([&] { pipe.send(42); });
  pipe.close_write();
  EXPECT_EQ(pipe.receive<int>(), 42);
  EXPECT_EQ(pipe.receive<int>(), std::nullopt);
}

// Runs this program again with only the leaking test of that name (below), and returns what it
// printed and how it ended.
std::pair<std::string, int> run_leaking_program(const std::string& leak) {
  const std::string command = "PROCESSION_TEST_LEAK=" + leak + " /proc/" +
                              std::to_string(::getpid()) + "/exe --gtest_filter=Leaking.* 2>&1";
  std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  char part[512];
  while (std::fgets(part, sizeof part, output.get()) != nullptr) text += part;
  const int status = ::pclose(output.release());
  return {text, WEXITSTATUS(status)};
}

TEST(EveryTest, FailsWhenItLeavesADescriptor) {
  const auto [output, code] = run_leaking_program("descriptor");
  EXPECT_THAT(output, HasSubstr("left behind: descriptor"));
  EXPECT_THAT(output, HasSubstr("FAILED"));
  EXPECT_EQ(code, 1);
}

TEST(EveryTest, FailsWhenItLeavesAProcess) {
  const auto [output, code] = run_leaking_program("process");
  EXPECT_THAT(output, HasSubstr("left behind: process"));
  EXPECT_EQ(code, 1);
}

TEST(EveryTest, PassesWhenItLeavesNothing) {
  const auto [output, code] = run_leaking_program("nothing");
  EXPECT_THAT(output, HasSubstr("PASSED"));
  EXPECT_EQ(code, 0) << output;
}

TEST(EveryTest, ACrashOfTheProgramIsItsExitStatus) {
  const auto [output, code] = run_leaking_program("crash");
  EXPECT_THAT(output, HasSubstr("the test program was killed by signal"));
  EXPECT_EQ(code, 128 + SIGSEGV);
}

class LeakingTest : public ::testing::Test {
 public:
  explicit LeakingTest(std::string leak) : leak_(std::move(leak)) {}

 private:
  void TestBody() override {
    if (leak_ == "descriptor") leaked_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (leak_ == "crash") die_by(SIGSEGV);
    if (leak_ == "process" && ::fork() == 0) {
      for (;;) ::pause();
    }
  }
  std::string leak_;
  int leaked_ = -1;
};

// Only there when asked for, so that it is in no list of tests.
[[maybe_unused]] const bool leaking_test_registered = [] {
  const char* leak = ::getenv("PROCESSION_TEST_LEAK");
  if (leak == nullptr) return false;
  ::testing::RegisterTest("Leaking", "Test", nullptr, nullptr, __FILE__, __LINE__,
                          [leak]() -> ::testing::Test* { return new LeakingTest(leak); });
  return true;
}();

}  // namespace
}  // namespace procession::test_support
