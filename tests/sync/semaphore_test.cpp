#include "procession/semaphore.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/memory.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "sync_test.hpp"
#include "system/futex.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr auto told_at_once = test_support::under_asan || test_support::under_tsan ? 2s : 50ms;

void end(Child& child) {
  child.kill();
  child.wait();
}

class SemaphoreTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, SemaphoreTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

TEST(SemaphoreTest, CountsItsPermits) {
  const Semaphore two(2);
  EXPECT_EQ(two.get_value(), 2);
  EXPECT_TRUE(two.acquire());
  EXPECT_TRUE(two.try_acquire());
  EXPECT_FALSE(two.try_acquire());
  EXPECT_FALSE(two.acquire(1ms));
  EXPECT_FALSE(two.acquire(-1h));
  EXPECT_EQ(two.get_value(), 0);
  two.release(3);  // also more than it began with
  EXPECT_EQ(two.get_value(), 3);
  EXPECT_TRUE(two.acquire(1h));
  EXPECT_EQ(Semaphore().get_value(), 1);
  EXPECT_EQ(Semaphore(Name{"one"}).get_value(), 1);
  EXPECT_FALSE(Semaphore(0, Name{"none"}).try_acquire());
}

TEST(SemaphoreTest, WrongCountsAreErrors) {
  EXPECT_THROW(Semaphore(-1), std::invalid_argument);
  EXPECT_THROW(BoundedSemaphore(-1), std::invalid_argument);
  const Semaphore semaphore(1, Name{"seats"});
  EXPECT_THROW(semaphore.release(0), std::invalid_argument);
  EXPECT_THROW(semaphore.release(-2), std::invalid_argument);
  try {
    semaphore.release(std::numeric_limits<int>::max());
    FAIL();
  } catch (const StateError& error) {
    EXPECT_NE(std::string(error.what()).find("'seats'"), std::string::npos);
  }
  EXPECT_EQ(semaphore.get_value(), 1);
  semaphore.release(std::numeric_limits<int>::max() - 1);
  EXPECT_EQ(semaphore.get_value(), std::numeric_limits<int>::max());
  EXPECT_THROW(semaphore.release(), StateError);
  EXPECT_TRUE(semaphore.try_acquire());
}

TEST(SemaphoreTest, AMovedFromHandleIsAnErrorAndACopyTheSame) {
  Semaphore semaphore(1);
  const Semaphore copy = semaphore, shipped = Semaphore::from_object(semaphore.handle_object());
  const Semaphore other = std::move(semaphore);
  EXPECT_THROW(semaphore.acquire(), StateError);  // NOLINT(bugprone-use-after-move)
  copy.acquire();
  EXPECT_EQ(shipped.get_value(), 0);
  EXPECT_THROW((void)BoundedSemaphore::from_object(nullptr).get_value(), StateError);
}

TEST(SemaphoreTest, ScopedAndUniqueLocksWork) {
  const Semaphore a(2);
  const BoundedSemaphore b(2);
  {
    const std::scoped_lock guard(a, b);
    const std::scoped_lock again(a, b);  // a thread may have several
    EXPECT_EQ(a.get_value() + b.get_value(), 0);
    EXPECT_FALSE(a.try_lock() || b.try_lock());
    EXPECT_FALSE(a.try_lock_for(1ms) || b.try_lock_for(1ms));
  }
  std::unique_lock first(a, 1ms);
  std::unique_lock second(b, std::chrono::system_clock::now() + 1h);
  EXPECT_EQ(a.get_value() + b.get_value(), 2);
  first.unlock();
  second.unlock();
  EXPECT_EQ(a.get_value() + b.get_value(), 4);
}

TEST(SemaphoreTest, ABoundedOneIsNeverAboveItsStart) {
  const BoundedSemaphore seats(2, Name{"seats"});
  EXPECT_THROW(seats.release(), StateError);
  seats.acquire();
  seats.acquire();
  EXPECT_THROW(seats.release(3), StateError);
  EXPECT_EQ(seats.get_value(), 0);
  seats.release(2);
  try {
    seats.release();
    FAIL();
  } catch (const StateError& error) {
    EXPECT_NE(std::string(error.what()).find("'seats'"), std::string::npos);
  }
  EXPECT_EQ(seats.get_value(), 2);
}

TEST_P(SemaphoreTest, AnotherMayReleaseATrackedPermit) {
  const BoundedSemaphore seats(3);
  const Semaphore tickets(1);
  seats.acquire();
  seats.acquire();
  tickets.lock();
  run_all(GetParam(), 1, [&](std::size_t) {
    seats.acquire();
    seats.release(2);
    tickets.unlock();
  });
  EXPECT_EQ(seats.get_value(), 2);
  EXPECT_EQ(tickets.get_value(), 1);
  seats.release();
  EXPECT_THROW(seats.release(), StateError);
}

// What was taken by lock() and given back by release() does not come back a second time.
TEST(SemaphoreTest, LockAndReleaseMayBeMixed) {
  const Semaphore semaphore(2);
  Child child = start_child([&] {
    semaphore.lock();
    semaphore.release();
    semaphore.acquire();
    semaphore.unlock();
  });
  EXPECT_EQ(child.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_EQ(semaphore.get_value(), 2);
}

TEST_P(SemaphoreTest, NeverMoreInsideThanPermits) {
  const int rounds = test_support::under_tsan ? 2'000 : 10'000;
  const Semaphore bare(2);
  const BoundedSemaphore tracked(2);
  const Value<int> inside(0), most(0);
  const auto enter = [&] {
    const int now = inside.fetch_add(1) + 1;
    int seen = most.load();
    while (seen < now && !most.compare_exchange(seen, now)) {
    }
    inside.fetch_add(-1);
  };
  run_all(GetParam(), 4, [&](std::size_t) {
    for (int i = 0; i < rounds; ++i) {
      bare.acquire();
      enter();
      bare.release();
    }
  });
  run_all(GetParam(), 4, [&](std::size_t) {
    for (int i = 0; i < rounds / 10; ++i) {
      const std::scoped_lock permit(tracked);
      enter();
    }
  });
  EXPECT_LE(most.load(), 2);
  EXPECT_EQ(bare.get_value(), 2);
  EXPECT_EQ(tracked.get_value(), 2);
}

// One gives what the other takes.
TEST_P(SemaphoreTest, ItemsAndRoomGoRoundAndRound) {
  const Semaphore items(0), room(3);
  run_all(GetParam(), 4, [&](std::size_t n) {
    for (int i = 0; i < 2'000; ++i) {
      (n % 2 == 0 ? room : items).acquire();
      (n % 2 == 0 ? items : room).release();
    }
  });
  EXPECT_EQ(items.get_value(), 0);
  EXPECT_EQ(room.get_value(), 3);
}

TEST_P(SemaphoreTest, ThoseWhoGiveUpTakeNoWakeUpWithThem) {
  const Semaphore semaphore(1);
  run_all(GetParam(), 4, [&](std::size_t n) {
    for (int i = 0; i < 300; ++i) {
      if (n < 2) {
        semaphore.acquire();
        semaphore.release();
      } else if (semaphore.try_lock_for(std::chrono::microseconds(50 * (i % 4)))) {
        semaphore.unlock();
      }
    }
  });
  EXPECT_EQ(semaphore.get_value(), 1);
}

TEST_P(SemaphoreTest, ATimedWaitEndsInTimeAndNotBefore) {
  const Semaphore bare(0);
  const BoundedSemaphore tracked(0);
  run_all(GetParam(), 1, [&](std::size_t) {
    auto start = steady_clock::now();
    EXPECT_FALSE(bare.acquire(30ms));
    EXPECT_GE(steady_clock::now() - start, 30ms);
    start = steady_clock::now();
    EXPECT_FALSE(tracked.acquire(30ms));
    EXPECT_GE(steady_clock::now() - start, 30ms);
    EXPECT_LT(steady_clock::now() - start, 5s);
  });
}

TEST(SemaphoreTest, AReleaseOfSeveralWakesAsMany) {
  const Semaphore semaphore(0);
  std::vector<Child> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.push_back(
        start_child([&, i] { i % 2 == 0 ? (void)semaphore.acquire() : semaphore.lock(); }));
  }
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  semaphore.release(4);
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_EQ(semaphore.get_value(), 2);  // the tracked ones ended holding it
}

TEST(SemaphoreTest, OfTheDeadTrackedPermitsComeBackAndBareOnesDoNot) {
  const Semaphore semaphore(4);
  Child holder = child_that([&] {
    semaphore.acquire();
    semaphore.lock();
    semaphore.lock();
  });
  EXPECT_EQ(semaphore.get_value(), 1);
  end(holder);
  EXPECT_EQ(semaphore.get_value(), 3);
}

TEST(SemaphoreTest, WhatTheDeadHeldCountsForABoundedOne) {
  const BoundedSemaphore seats(2);
  Child holder = child_that([&] {
    seats.acquire();
    seats.acquire();
  });
  EXPECT_FALSE(seats.try_acquire());
  end(holder);
  EXPECT_THROW(seats.release(), StateError);
  EXPECT_TRUE(seats.try_acquire());
  EXPECT_TRUE(seats.try_acquire());
  EXPECT_FALSE(seats.try_acquire());
  seats.release(2);
}

TEST(SemaphoreTest, SleepersAreToldOfADeathAtOnce) {
  for (const bool tracked : {true, false}) {
    const Semaphore semaphore(2);
    Child holder = child_that([&] {
      semaphore.lock();
      semaphore.lock();
    });
    Pipe told;
    std::vector<Child> waiters;
    for (int i = 0; i < 2; ++i) {
      waiters.push_back(start_child([&] {
        tracked ? semaphore.lock() : (void)semaphore.acquire();
        told.send(steady_clock::now());
        tracked ? semaphore.unlock() : semaphore.release();
      }));
    }
    for (const Child& waiter : waiters) await_futex_sleep(waiter);
    const auto killed = steady_clock::now();
    holder.kill();
    for (int i = 0; i < 2; ++i) {
      EXPECT_LT(*told.receive<steady_clock::time_point>() - killed, told_at_once);
    }
    for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    holder.wait();
    EXPECT_EQ(semaphore.get_value(), 2);
  }
}

// Each of the holders may be the one that dies; also more than a thread can watch at once.
TEST(SemaphoreTest, OneOfManyHoldersDies) {
  constexpr int count = test_support::under_tsan ? 10 : 45;
  const BoundedSemaphore seats(count);
  std::vector<Child> holders;
  for (int i = 0; i < count; ++i) holders.push_back(child_that([&] { seats.acquire(); }));
  for (const int doomed : {0, count / 2, count - 1}) {
    Child waiter = start_child([&] { seats.acquire(); });
    await_futex_sleep(waiter);
    holders[static_cast<std::size_t>(doomed)].kill();
    EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    EXPECT_TRUE(seats.acquire(1h));  // the waiter has ended, too
  }
  EXPECT_FALSE(seats.try_acquire());
}

TEST(SemaphoreTest, AStoppedHolderIsAlive) {
  const BoundedSemaphore seats(1);
  Child holder = child_that([&] { seats.acquire(); });
  holder.kill(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(holder.pid(), &status, WUNTRACED), holder.pid());
  EXPECT_FALSE(seats.acquire(300ms));
  EXPECT_EQ(seats.get_value(), 0);
  holder.kill(SIGCONT);
  EXPECT_FALSE(seats.try_acquire());
  end(holder);
  EXPECT_TRUE(seats.try_acquire());
}

TEST(SemaphoreTest, AThreadThatEndsGivesItsPermitsBack) {
  const BoundedSemaphore seats(1);
  Thread([&] { seats.acquire(); }).join();
  EXPECT_TRUE(seats.acquire(20s));
}

// The next thread in the slot of a dead one has nothing of what that one held.
TEST(SemaphoreTest, AReusedPlaceStartsEmpty) {
  const BoundedSemaphore seats(1);
  for (int i = 0; i < 200; ++i) Thread([&] { EXPECT_TRUE(seats.acquire(20s)); }).join();
  EXPECT_EQ(seats.get_value(), 1);
}

TEST(SemaphoreTest, AWaiterKilledAtItsWakeUpDoesNotSwallowIt) {
  for (int round = 0; round < 40; ++round) {
    const bool tracked = round % 2 == 0;
    const Semaphore semaphore(0);
    const auto take = [&] { tracked ? semaphore.lock() : (void)semaphore.acquire(); };
    Child doomed = start_child([&] {
      take();
      for (;;) ::pause();
    });
    await_futex_sleep(doomed);
    Child heir = start_child(take);
    await_futex_sleep(heir);
    semaphore.release();
    doomed.kill();
    if (tracked) {
      ASSERT_EQ(heir.wait(test_support::Deadline(20s)), (test_support::ChildStatus{0, 0}))
          << "in round " << round;
    }
    doomed.wait();
    if (!tracked) {  // the doomed one may have come as far as taking it, for good
      const auto status = heir.wait(test_support::Deadline(100ms));
      if (!status) {
        ASSERT_EQ(semaphore.get_value(), 0) << "in round " << round;
        end(heir);
      }
    }
  }
}

TEST(SemaphoreTest, ManyKillsLoseNoPermit) {
  const BoundedSemaphore seats(2);
  const auto work = [&] {
    for (;;) {
      const std::scoped_lock permit(seats);
      for (int i = 0; i < 20; ++i) detail::cpu_relax();
    }
  };
  std::deque<Child> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(start_child(work));
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(seats.acquire(20s)) << "in round " << round;
      seats.release();
    }
    end(workers.front());
    workers.pop_front();
    workers.push_back(start_child(work));
  }
  for (Child& worker : workers) end(worker);
  EXPECT_EQ(seats.get_value(), 2);
}

TEST(SemaphoreTest, TravelsToProcessesOfTheForkServer) {
  const Semaphore go(0);
  const BoundedSemaphore seats(2);
  const Event taken;
  Process process(
      [go, taken](const BoundedSemaphore& mine) {
        mine.acquire();
        taken.set();
        go.acquire();
      },
      seats);
  process.start();
  taken.wait();
  EXPECT_EQ(seats.get_value(), 1);
  go.release();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(seats.get_value(), 2);
}

TEST(SemaphoreTest, NothingIsLeftOfOne) {
  const auto use = [] {
    const BoundedSemaphore seats(2);
    seats.acquire();
    seats.release();
  };
  use();
  const auto before = memory_stats().blocks;
  for (int i = 0; i < 500; ++i) use();
  EXPECT_LT(memory_stats().blocks, before + 100);
}

}  // namespace
}  // namespace procession
