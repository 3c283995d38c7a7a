// What can be seen of a process from outside: state, usage, sentinel.

#include <poll.h>
#include <sched.h>
#include <signal.h>

#include <ctime>
#include <memory>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessStates : public EachMethod {};
class ProcessUsage : public EachMethod {};
class ProcessSentinel : public EachMethod {};
FOR_EACH_START_METHOD(ProcessStates);
FOR_EACH_START_METHOD(ProcessUsage);
FOR_EACH_START_METHOD(ProcessSentinel);

constexpr std::size_t mebibyte = std::size_t{1} << 20;

int first_allowed_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) return cpu;
  }
  return 0;
}

// Keeps the calling thread off one cpu, where possible: who looks from that cpu sees nobody
// running there but itself.
class LookFromElsewhere {
 public:
  explicit LookFromElsewhere(int cpu) {
    CPU_ZERO(&before_);
    if (::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t others = before_;
    CPU_CLR(cpu, &others);
    ::sched_setaffinity(0, sizeof others, &others);
  }
  ~LookFromElsewhere() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// Every byte of it, so that the pages are there.
void touch(std::size_t bytes) {
  const auto block = std::make_unique<volatile char[]>(bytes);
  for (std::size_t at = 0; at < bytes; at += 1024) block[at] = 1;
}

void use_processor_for(std::chrono::milliseconds time) {
  const auto end = std::clock() + time.count() * CLOCKS_PER_SEC / 1000;
  while (std::clock() < end) {
  }
}

TEST_P(ProcessStates, GoesFromNewToTerminated) {
  Gate gate;
  Process process(options(), pass, gate.path());
  EXPECT_EQ(process.state(), ProcessState::New);
  process.start();
  EXPECT_TRUE(eventually([&] { return process.state() == ProcessState::Blocked; }));
  gate.open();
  ASSERT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(patience)));
  EXPECT_EQ(process.state(), ProcessState::Terminated);  // not reaped
  process.join();
  EXPECT_EQ(process.state(), ProcessState::Terminated);
}

TEST_P(ProcessStates, AStoppedProcessIsBlocked) {
  Process process(options(), spin);
  process.start();
  process.send_signal(SIGSTOP);
  EXPECT_TRUE(eventually([&] { return process.state() == ProcessState::Blocked; }));
  EXPECT_TRUE(process.is_alive());
  process.kill();
  EXPECT_EQ(exitcode_of(process), -SIGKILL);
  EXPECT_EQ(process.state(), ProcessState::Terminated);
}

// Somebody else may keep the other cpu busy; then who looks from the cpu of the process would
// always find that it had to make way.
TEST_P(ProcessStates, ABusyProcessIsRunning) {
  if (usable_cpu_count() < 2) GTEST_SKIP() << "who looks needs a cpu of its own";
  ProcessOptions pinned = options();
  pinned.cpus = {first_allowed_cpu()};
  Process process(pinned, spin);
  process.start();
  const LookFromElsewhere elsewhere(pinned.cpus.front());
  EXPECT_TRUE(eventually([&] { return process.state() == ProcessState::Running; }));
  process.kill();
  EXPECT_EQ(exitcode_of(process), -SIGKILL);
}

TEST_P(ProcessStates, OfTwoBusyProcessesOnOneCpuOneIsReady) {
  ProcessOptions pinned = options();
  pinned.cpus = {first_allowed_cpu()};
  Process first(pinned, spin);
  Process second(pinned, spin);
  first.start();
  second.start();
  const LookFromElsewhere elsewhere(pinned.cpus.front());
  EXPECT_TRUE(eventually([&] { return first.state() == ProcessState::Ready; }));
  EXPECT_TRUE(eventually([&] { return second.state() == ProcessState::Ready; }));
  EXPECT_TRUE(eventually([&] { return first.state() == ProcessState::Running; }));
  first.kill();
  second.kill();
  EXPECT_EQ(exitcode_of(first), -SIGKILL);
  EXPECT_EQ(exitcode_of(second), -SIGKILL);
}

// Who is on a cpu for a third of the time is seen running by about every third look.
TEST_P(ProcessStates, ItIsSeenRunningAboutAsOftenAsItRuns) {
  if (usable_cpu_count() < 2) GTEST_SKIP() << "who looks needs a cpu of its own";
  ProcessOptions pinned = options();
  pinned.daemon = true;
  pinned.cpus = {first_allowed_cpu()};
  Process process(pinned, spin);
  process.start();
  const LookFromElsewhere elsewhere(pinned.cpus.front());
  const auto used = [&] { return process.usage().user_time + process.usage().system_time; };
  ASSERT_TRUE(eventually([&] { return used() > 20ms; }));  // it is in its loop
  const auto begin = std::chrono::steady_clock::now();
  const auto used_before = used();
  int looks = 0, running = 0;
  ASSERT_TRUE(eventually([&] {
    ++looks;
    running += process.state() == ProcessState::Running;
    return used() - used_before > 300ms;
  }));
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  const double share = std::chrono::duration<double>(used() - used_before) / time;
  EXPECT_GT(running, looks * share / 4) << "looks: " << looks << ", share: " << share;
  process.kill();
  EXPECT_EQ(exitcode_of(process), -SIGKILL);
}

TEST_P(ProcessUsage, MemoryThatWasTouchedIsSeenDuringAndAfter) {
  Mailbox mailbox;
  Gate gate;
  Process process(
      options(),
      [](std::string to, std::string at) {
        touch(64 * mebibyte);
        post(to, "touched");
        pass(at);
      },
      mailbox.path(), gate.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "touched");
  EXPECT_GE(process.usage().peak_memory, 64 * mebibyte);
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
  EXPECT_GE(process.usage().peak_memory, 64 * mebibyte);
  EXPECT_LT(process.usage().peak_memory, 1024 * mebibyte);
}

TEST_P(ProcessUsage, ProcessorTimeIsSeenDuringAndAfter) {
  Mailbox mailbox;
  Gate gate;
  Process process(
      options(),
      [](std::string to, std::string at) {
        use_processor_for(200ms);
        post(to, "used");
        pass(at);
      },
      mailbox.path(), gate.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "used");
  const Usage during = process.usage();
  EXPECT_GE(during.user_time + during.system_time, 150ms);
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
  const Usage after = process.usage();
  EXPECT_GE(after.user_time + after.system_time, 150ms);
  EXPECT_LT(after.user_time + after.system_time, 20s);
}

TEST_P(ProcessUsage, IsKnownOfAProcessThatWasKilled) {
  Mailbox mailbox;
  Process process(
      options(),
      [](std::string to) {
        use_processor_for(100ms);
        post(to, "used");
        spin();
      },
      mailbox.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "used");
  process.kill();
  EXPECT_EQ(exitcode_of(process), -SIGKILL);
  const Usage after = process.usage();
  EXPECT_GE(after.user_time + after.system_time, 50ms);
  EXPECT_GT(after.peak_memory, 0u);
}

// A process that is executed anew shares nothing with its parent, so none of the parent's memory
// is its own. The kernel counts otherwise for one that was made by vfork.
TEST_P(ProcessUsage, TheParentsMemoryIsNotTheChilds) {
  if (GetParam() == StartMethod::Fork) GTEST_SKIP() << "a copy of the parent holds its memory";
  if (test_support::under_asan || test_support::under_tsan) GTEST_SKIP() << "shadow memory";
  touch(256 * mebibyte);
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  EXPECT_LT(process.usage().peak_memory, 200 * mebibyte);
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
  EXPECT_LT(process.usage().peak_memory, 200 * mebibyte);
}

TEST_P(ProcessSentinel, IsReadableFromTheEndOn) {
  Gate gate;
  Process process(options(), pass, gate.path());
  process.start();
  EXPECT_FALSE(test_support::wait_readable(process.sentinel(), Deadline(0s)));
  gate.open();
  EXPECT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(patience)));
  process.join();
  EXPECT_TRUE(test_support::wait_readable(process.sentinel(), Deadline(0s)));
}

TEST_P(ProcessSentinel, OfSeveralTellWhichHasEnded) {
  Gate first_gate, second_gate;
  Process first(options(), pass, first_gate.path());
  Process second(options(), pass, second_gate.path());
  first.start();
  second.start();
  second_gate.open();
  pollfd both[2] = {{first.sentinel(), POLLIN, 0}, {second.sentinel(), POLLIN, 0}};
  ASSERT_EQ(::poll(both, 2, 20'000), 1);
  EXPECT_EQ(both[0].revents, 0);
  EXPECT_NE(both[1].revents & POLLIN, 0);
  first_gate.open();
  EXPECT_EQ(exitcode_of(first), 0);
  EXPECT_EQ(exitcode_of(second), 0);
}

TEST(ProcessCpus, AreCounted) {
  EXPECT_GE(cpu_count(), 1);
  EXPECT_GE(usable_cpu_count(), 1);
  EXPECT_LE(usable_cpu_count(), cpu_count());
}

TEST(ProcessCpus, OnlyThoseAllowedAreUsable) {
  Process process({.cpus = {first_allowed_cpu()}}, [] { std::exit(usable_cpu_count()); });
  EXPECT_EQ(run(process), 1);
}

}  // namespace
}  // namespace procession::process_test
