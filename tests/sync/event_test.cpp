#include "procession/event.hpp"

#include <signal.h>

#include <vector>

#include "procession/errors.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

TEST(EventTest, IsClearAndCanBeSetAndCleared) {
  const Event event(Name{"go"});
  EXPECT_FALSE(event.is_set());
  EXPECT_FALSE(event.wait(0s));
  event.set();
  event.set();
  EXPECT_TRUE(event.is_set());
  event.wait();
  EXPECT_TRUE(event.wait(-1s));
  event.clear();
  event.clear();
  EXPECT_FALSE(event.is_set());
}

TEST(EventTest, ATimedWaitEndsInTime) {
  const Event event;
  const auto start = steady_clock::now();
  EXPECT_FALSE(event.wait(20ms));
  EXPECT_GE(steady_clock::now() - start, 20ms);
}

TEST(EventTest, AMovedFromHandleIsAnError) {
  Event event;
  const Event other = std::move(event);
  EXPECT_THROW(event.set(), StateError);  // NOLINT(bugprone-use-after-move)
}

TEST(EventTest, ASetWakesAllProcesses) {
  const Event event;
  std::vector<Child> waiters;
  for (int i = 0; i < 4; ++i) waiters.push_back(start_child([&] { event.wait(); }));
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  event.set();
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(EventTest, ASleeperReturnsAlsoIfTheEventIsClearedAtOnce) {
  const Event event;
  Child waiter = start_child([&] { EXPECT_TRUE(event.wait(1h)); });
  await_futex_sleep(waiter);
  event.set();
  event.clear();
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(EventTest, ThreadsAndProcessesPlayPingPong) {
  const Event ping, pong;
  for (const Kind kind : {Kind::Threads, Kind::Processes}) {
    run_all(kind, 2, [&](std::size_t n) {
      const Event& mine = n == 0 ? ping : pong;
      const Event& theirs = n == 0 ? pong : ping;
      for (int i = 0; i < 500; ++i) {
        if (n == 0) theirs.set();
        mine.wait();
        mine.clear();
        if (n == 1) theirs.set();
      }
    });
  }
}

TEST(EventTest, AKilledWaiterLeavesTheEventWorking) {
  const Event event;
  Child doomed = start_child([&] { event.wait(); });
  Child heir = start_child([&] { event.wait(); });
  await_futex_sleep(doomed);
  await_futex_sleep(heir);
  doomed.kill();
  doomed.wait();
  event.set();
  EXPECT_EQ(heir.wait(), (test_support::ChildStatus{0, 0}));
}

// The setter is killed as soon as it has begun.
TEST(EventTest, ASetterKilledInTheMiddleLeavesNobodyAsleepAtASetEvent) {
  for (int round = 0; round < 30; ++round) {
    const Event event;
    Child heir = start_child([&] { event.wait(); });
    await_futex_sleep(heir);
    Child doomed = start_child([&] { event.set(); });
    while (!event.is_set()) {
    }
    doomed.kill();
    EXPECT_EQ(heir.wait(test_support::Deadline(20s)), (test_support::ChildStatus{0, 0}));
    doomed.wait();
  }
}

}  // namespace
}  // namespace procession
