#include "procession/barrier.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/memory.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr auto told_at_once = test_support::under_asan || test_support::under_tsan ? 2s : 50ms;

class BarrierTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, BarrierTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

TEST(BarrierTest, NeedsAPartyAndLetsOneAloneThrough) {
  EXPECT_THROW(Barrier(0), std::invalid_argument);
  EXPECT_THROW(Barrier(-3, [] {}), std::invalid_argument);
  int actions = 0;
  const Barrier alone(1, [&] { ++actions; });
  EXPECT_EQ(alone.wait(), 0);
  EXPECT_EQ(alone.wait(0s), 0);
  EXPECT_EQ(actions, 2);
  EXPECT_EQ(alone.parties(), 1);
  EXPECT_EQ(alone.n_waiting(), 0);
  EXPECT_FALSE(alone.broken());
}

TEST(BarrierTest, AMovedFromHandleIsAnErrorAndACopyTheSame) {
  Barrier barrier(2);
  const Barrier copy = barrier, other = std::move(barrier);
  EXPECT_THROW(barrier.wait(), StateError);  // NOLINT(bugprone-use-after-move)
  copy.abort();
  EXPECT_TRUE(other.broken());
}

TEST_P(BarrierTest, AllMeetAndHaveDifferentIndices) {
  const Value<int> actions(0), sum(0), before(0);
  const Barrier barrier(4, [actions] { actions.fetch_add(1); });
  run_all(GetParam(), 4, [&](std::size_t) {
    for (int i = 0; i < 100; ++i) {
      before.fetch_add(1);
      const int index = barrier.wait();
      EXPECT_GE(index, 0);
      EXPECT_LT(index, 4);
      sum.fetch_add(index);
      EXPECT_GE(before.load(), 4 * (i + 1));
      EXPECT_GE(actions.load(), i + 1);
      if (barrier.wait(1h) == 3) actions.fetch_add(-1);
    }
    (void)barrier.parties();
  });
  EXPECT_EQ(sum.load(), 100 * 6);
  EXPECT_EQ(actions.load(), 100);
}

TEST_P(BarrierTest, AnAbortAndAResetAreToldToThoseWhoWait) {
  for (const bool abort : {true, false}) {
    const Barrier barrier(3);
    run_all(GetParam(), 3, [&](std::size_t n) {
      if (n != 0) {
        EXPECT_THROW(barrier.wait(), BrokenBarrierError);
        return;
      }
      while (barrier.n_waiting() != 2) std::this_thread::yield();
      abort ? barrier.abort() : barrier.reset();
    });
    if (GetParam() == Kind::Threads) {
      EXPECT_EQ(barrier.broken(), abort);
    }
    if (abort) {
      EXPECT_TRUE(barrier.broken());
      EXPECT_THROW(barrier.wait(0s), BrokenBarrierError);
    }
    barrier.reset();
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(barrier.n_waiting(), 0);
    run_all(GetParam(), 3, [&](std::size_t) { barrier.wait(); });
  }
}

TEST_P(BarrierTest, APartyThatRunsOutOfTimeBreaksIt) {
  const Barrier barrier(3);
  run_all(GetParam(), 2, [&](std::size_t n) {
    const auto start = steady_clock::now();
    if (n == 0) {
      EXPECT_THROW(barrier.wait(), BrokenBarrierError);
    } else {
      EXPECT_THROW(barrier.wait(30ms), BrokenBarrierError);
      EXPECT_GE(steady_clock::now() - start, 30ms);
    }
  });
  EXPECT_TRUE(barrier.broken());
  const Barrier own(2, nullptr, 10ms);
  EXPECT_THROW(own.wait(), BrokenBarrierError);
  const Barrier with_action(
      2, [] {}, 10ms);
  EXPECT_THROW(with_action.wait(), BrokenBarrierError);
}

TEST_P(BarrierTest, AnActionThatThrowsBreaksIt) {
  const Barrier barrier(
      3, [] { throw std::out_of_range("no"); }, Name{"meeting"});
  const Value<int> thrown(0), broken(0);
  run_all(GetParam(), 3, [&](std::size_t) {
    try {
      barrier.wait();
    } catch (const std::out_of_range&) {
      thrown.fetch_add(1);
    } catch (const BrokenBarrierError& error) {
      EXPECT_NE(std::string(error.what()).find("'meeting'"), std::string::npos);
      broken.fetch_add(1);
    }
  });
  EXPECT_EQ(thrown.load(), 1);
  EXPECT_EQ(broken.load(), 2);
  EXPECT_TRUE(barrier.broken());
}

// Waiters learn of it asleep, later ones at once, and reset() forgets it.
TEST(BarrierTest, TheDeathOfAWaiterBreaksIt) {
  const Barrier barrier(4);
  Child doomed = start_child([&] { (void)barrier.wait(); });
  await_futex_sleep(doomed);
  Pipe told;
  std::vector<Child> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.push_back(start_child([&] {
      EXPECT_THROW(barrier.wait(), BrokenBarrierError);
      told.send(steady_clock::now());
    }));
    await_futex_sleep(waiters.back());
  }
  const auto killed = steady_clock::now();
  doomed.kill();
  for (int i = 0; i < 2; ++i) {
    EXPECT_LT(*told.receive<steady_clock::time_point>() - killed, told_at_once);
  }
  EXPECT_TRUE(barrier.broken());
  EXPECT_THROW(barrier.wait(), BrokenBarrierError);
  doomed.wait();
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_THROW(barrier.wait(), BrokenBarrierError);
  barrier.reset();
  run_all(Kind::Threads, 4, [&](std::size_t) { barrier.wait(); });
}

// The first of those who wait has nobody to watch when it falls asleep.
TEST(BarrierTest, WhoCameFirstIsToldOfTheDeathOfWhoCameLater) {
  const Barrier barrier(3);
  Child first = start_child([&] { EXPECT_THROW(barrier.wait(), BrokenBarrierError); });
  await_futex_sleep(first);
  Child doomed = start_child([&] { (void)barrier.wait(); });
  while (barrier.n_waiting() != 2) std::this_thread::yield();
  doomed.kill();
  EXPECT_EQ(first.wait(), (test_support::ChildStatus{0, 0}));
  doomed.wait();
}

// A party of earlier meetings, which does not wait now.
TEST(BarrierTest, WhoHasWaitedOnceAndExitsBreaksIt) {
  const Barrier barrier(2);
  Child other = start_child([&] { barrier.wait(); });
  barrier.wait();  // took place
  EXPECT_EQ(other.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_THROW(barrier.wait(), BrokenBarrierError);
}

// Its workers have ended as they should: nothing is broken, and others can meet there; but who has
// met with them would wait for them.
TEST(BarrierTest, WhoHasLeftInOrderIsMissedOnlyByThoseWhoHaveMetIt) {
  for (const StartMethod method : get_all_start_methods()) {
    const Barrier barrier(2);
    ProcessOptions options;
    options.start_method = method;
    const auto meet = [&] {
      const auto wait = [](const Barrier& mine) { (void)mine.wait(); };
      Process one(options, wait, barrier), other(options, wait, barrier);
      one.start();
      other.start();
      one.join();
      other.join();
      EXPECT_EQ(one.exitcode(), 0);
      EXPECT_EQ(other.exitcode(), 0);
    };
    meet();
    EXPECT_FALSE(barrier.broken());
    meet();
    EXPECT_FALSE(barrier.broken());
    Process guest(
        options, [](const Barrier& mine) { (void)mine.wait(); }, barrier);
    guest.start();
    EXPECT_NO_THROW(barrier.wait());
    guest.join();
    EXPECT_FALSE(barrier.broken());
    EXPECT_THROW(barrier.wait(), BrokenBarrierError);
    EXPECT_TRUE(barrier.broken());
    Process crash(
        options,
        [](const Barrier& mine) {
          (void)mine.wait();
          ::abort();
        },
        barrier);
    barrier.reset();
    crash.start();
    EXPECT_NO_THROW(barrier.wait());
    crash.join();
    EXPECT_TRUE(barrier.broken());
  }
}

// Who falls asleep in one round must not do so because another sleeps in the next, nor with a list
// of members that another's arrival has made too short.
TEST_P(BarrierTest, RoundsThatFollowAtOnceLoseNobody) {
  const Barrier barrier(3);
  run_all(GetParam(), 3, [&](std::size_t) {
    for (int i = 0; i < 5000; ++i) barrier.wait();
  });
  EXPECT_EQ(barrier.n_waiting(), 0);
}

TEST(BarrierTest, AThreadThatEndsBreaksNothing) {
  const Barrier barrier(2);
  for (int i = 0; i < 3; ++i) {
    Thread other([&] { barrier.wait(); });
    barrier.wait();
    other.join();
  }
  Thread alone([&] { EXPECT_THROW(barrier.wait(10ms), BrokenBarrierError); });
  alone.join();
  barrier.reset();
  EXPECT_FALSE(barrier.broken());
}

TEST(BarrierTest, AStoppedPartyIsAlive) {
  const Barrier barrier(3);
  Child stopped = start_child([&] { (void)barrier.wait(); });
  Child waiter = start_child([&] { (void)barrier.wait(); });
  await_futex_sleep(stopped);
  await_futex_sleep(waiter);
  stopped.kill(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(stopped.pid(), &status, WUNTRACED), stopped.pid());
  EXPECT_FALSE(waiter.wait(test_support::Deadline(300ms)).has_value());
  EXPECT_FALSE(barrier.broken());
  EXPECT_EQ(barrier.wait(), 2);  // it takes place without its knowing
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  stopped.kill(SIGCONT);
  EXPECT_EQ(stopped.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(BarrierTest, WhoDiesInTheActionBreaksIt) {
  const Event inside;
  const Barrier barrier(2, [inside] {
    inside.set();
    ::pause();
  });
  Child waiter = start_child([&] { EXPECT_THROW(barrier.wait(), BrokenBarrierError); });
  await_futex_sleep(waiter);
  Child doomed = start_child([&] { (void)barrier.wait(); });
  inside.wait();
  doomed.kill();
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  doomed.wait();
  EXPECT_TRUE(barrier.broken());
}

TEST(BarrierTest, ManyProcessesAndOneDies) {
  constexpr int count = test_support::under_tsan ? 8 : 44;  // more than a thread can watch
  const Barrier barrier(count + 2);
  std::vector<Child> waiters;
  for (int i = 0; i < count; ++i) {
    waiters.push_back(start_child([&] { EXPECT_THROW(barrier.wait(), BrokenBarrierError); }));
  }
  while (barrier.n_waiting() != count) std::this_thread::yield();
  waiters.back().kill();
  for (Child& waiter : waiters) {
    if (&waiter != &waiters.back()) {
      EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    }
  }
  waiters.back().wait();
}

TEST(BarrierTest, TravelsWithItsActionUnderEveryStartMethod) {
  for (const StartMethod method : get_all_start_methods()) {
    const Value<int> actions(0);
    const Value<pid_t> actor(0);
    const Barrier barrier(2, [actions, actor] {
      actions.fetch_add(1);
      actor.store(::getpid());
    });
    ProcessOptions options;
    options.start_method = method;
    Process other(
        options,
        [](const Barrier& mine) {
          while (mine.n_waiting() == 0) std::this_thread::yield();
          if (mine.wait() != 1) ::_exit(7);
        },
        barrier);
    other.start();
    EXPECT_EQ(barrier.wait(), 0);
    other.join();
    EXPECT_EQ(other.exitcode(), 0);
    EXPECT_EQ(actions.load(), 1);
    EXPECT_EQ(actor.load(), other.pid());
  }
}

TEST(BarrierTest, AnActionThatCannotTravelIsAnErrorThere) {
  int here = 0;
  const Barrier barrier(2, [&here] { ++here; });
  Process other(
      [](const Barrier& mine) {
        while (mine.n_waiting() == 0) std::this_thread::yield();
        try {
          mine.wait();
        } catch (const NotShippable&) {
          return;
        }
        ::_exit(7);
      },
      barrier);
  other.start();
  EXPECT_THROW(barrier.wait(), BrokenBarrierError);
  other.join();
  EXPECT_EQ(other.exitcode(), 0);
  barrier.reset();
  run_all(Kind::Threads, 2, [&](std::size_t) { barrier.wait(); });
  EXPECT_EQ(here, 1);
}

TEST(BarrierTest, NothingIsLeftOfOne) {
  const auto use = [] {
    const Event event;
    const Barrier barrier(1, [event] { event.set(); });
    barrier.wait();
  };
  use();
  const auto before = memory_stats().blocks;
  for (int i = 0; i < 500; ++i) use();
  EXPECT_LT(memory_stats().blocks, before + 100);
}

}  // namespace
}  // namespace procession
