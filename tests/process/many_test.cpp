// Many processes, and many threads.

#include <atomic>
#include <thread>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessMany : public EachMethod {};
FOR_EACH_START_METHOD(ProcessMany);

void exit_with(int code) { std::exit(code); }

TEST_P(ProcessMany, AHundredAtOnce) {
  Gate gate;
  std::vector<Process> all;
  for (int i = 0; i < 100; ++i) {
    all.emplace_back(
        options(),
        [](std::string at, int code) {
          pass(at);
          std::exit(code);
        },
        gate.path(), i);
    all.back().start();
  }
  EXPECT_EQ(active_children().size(), 100u);
  gate.open();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(exitcode_of(all[static_cast<std::size_t>(i)]), i);
}

TEST_P(ProcessMany, FromSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < 10; ++i) {
        Process process(options(), exit_with, thread * 10 + i);
        EXPECT_EQ(run(process), thread * 10 + i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ProcessMany, OneProcessIsJoinedBySeveralThreads) {
  Gate gate;
  Process process(
      options(),
      [](std::string at) {
        pass(at);
        std::exit(5);
      },
      gate.path());
  process.start();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      EXPECT_TRUE(process.join(patience));
      EXPECT_EQ(process.exitcode(), 5);
      EXPECT_NO_THROW(process.kill());
    });
  }
  gate.open();
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ProcessMany, OneProcessIsStartedByOneOfSeveralThreads) {
  Process process(options(), exit_with, 5);
  std::atomic<int> started{0}, refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      try {
        process.start();
        ++started;
      } catch (const StateError&) {
        ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(started, 1);
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(exitcode_of(process), 5);
}

TEST_P(ProcessMany, OneAfterTheOtherLeaveNothing) {
  const auto before = test_support::Snapshot::take();
  for (int i = 0; i < 50; ++i) {
    Process process(options(), exit_with, i);
    EXPECT_EQ(run(process), i);
  }
  EXPECT_THAT(before.leftovers(), ::testing::IsEmpty());
}

TEST_P(ProcessMany, ChildrenStartChildrenAtTheSameTime) {
  std::vector<Process> all;
  for (int i = 0; i < 8; ++i) {
    all.emplace_back(
        options(),
        [](StartMethod method, int code) {
          Process inner({.start_method = method}, exit_with, code);
          inner.start();
          inner.join();
          std::exit(inner.exitcode().value());
        },
        GetParam(), i);
    all.back().start();
  }
  for (int i = 0; i < 8; ++i) EXPECT_EQ(exitcode_of(all[static_cast<std::size_t>(i)]), i);
}

// The thread that starts a process is unlike the root's in nothing that a child could notice.
TEST_P(ProcessMany, AProcessOutlivesTheThreadThatStartedIt) {
  Gate gate;
  Process process(options(), pass, gate.path());
  std::thread([&] { process.start(); }).join();
  EXPECT_TRUE(process.is_alive());
  EXPECT_FALSE(process.join(10ms));
  gate.open();
  EXPECT_EQ(exitcode_of(process), 0);
}

}  // namespace
}  // namespace procession::process_test
