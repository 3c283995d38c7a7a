#include "procession/condition.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#include "procession/errors.hpp"
#include "procession/memory.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr auto told_at_once = test_support::under_asan || test_support::under_tsan ? 2s : 50ms;

class ConditionTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, ConditionTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

// A child that is notified, or told the result of its wait, and says so.
Child waiter_at(const Condition& condition, Pipe& told, char name) {
  Child child = start_child([&condition, &told, name] {
    const std::scoped_lock hold(condition);
    condition.wait();
    told.send(name);
  });
  await_futex_sleep(child);
  return child;
}

TEST(ConditionTest, WaitingWithoutTheLockIsAnError) {
  const Condition condition(Name{"news"});
  try {
    condition.wait();
    FAIL();
  } catch (const StateError& error) {
    EXPECT_NE(std::string(error.what()).find("'news'"), std::string::npos);
  }
  EXPECT_THROW(condition.wait(0s), StateError);
  EXPECT_THROW(condition.notify(-1), std::invalid_argument);
  condition.notify(0);
  condition.notify();
  condition.notify_all();
  Condition moved = condition;
  const Condition other = std::move(moved);
  EXPECT_THROW(moved.notify(), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW(Condition(Lock::from_object(nullptr)), StateError);
}

TEST(ConditionTest, UsesItsLockOrYours) {
  const Lock lock;
  const RLock rlock;
  const Condition own, with_lock(lock), with_rlock(rlock, Name{"r"});
  {
    const std::scoped_lock hold(own, with_lock, with_rlock);
    EXPECT_TRUE(lock.locked() && rlock.locked());
    EXPECT_FALSE(with_lock.try_lock());
    EXPECT_TRUE(with_rlock.try_lock());  // recursive
    with_rlock.unlock();
    EXPECT_TRUE(own.try_acquire());
    own.release();
  }
  EXPECT_FALSE(lock.locked() || rlock.locked());
  std::unique_lock hold(own, 1ms);
  EXPECT_TRUE(hold.owns_lock());
}

TEST(ConditionTest, KeepsItsLockAlive) {
  std::optional<Lock> lock(std::in_place);
  const Condition condition(*lock);
  lock.reset();
  for (int i = 0; i < 10; ++i) (void)Lock();
  const std::scoped_lock hold(condition);
  EXPECT_FALSE(condition.wait(1ms));
}

TEST_P(ConditionTest, ATimedWaitEndsInTimeAndTakesTheLockAgain) {
  const RLock rlock;
  const Condition condition(rlock);
  run_all(GetParam(), 2, [&](std::size_t) {
    const std::scoped_lock hold(condition);
    rlock.acquire();
    rlock.acquire();
    const auto start = steady_clock::now();
    EXPECT_FALSE(condition.wait(20ms));
    EXPECT_GE(steady_clock::now() - start, 20ms);
    EXPECT_FALSE(condition.wait(-1s));
    EXPECT_FALSE(condition.wait_for([] { return false; }, 1ms));
    EXPECT_TRUE(condition.wait_for([] { return true; }, 0s));
    rlock.release();  // as deep as before
    rlock.release();
  });
  EXPECT_FALSE(rlock.locked());
}

// The lock is free while somebody waits, however often it was taken.
TEST_P(ConditionTest, AWaitSetsTheLockFreeWholly) {
  const RLock rlock;
  const Condition condition(rlock);
  const Value<int> stage(0);
  run_all(GetParam(), 2, [&](std::size_t n) {
    const std::scoped_lock hold(condition);
    if (n == 0) {
      rlock.acquire();
      while (stage.load() != 1) condition.wait();
      stage.store(2);
      condition.notify();
      rlock.release();
    } else {
      stage.store(1);
      condition.notify();
      condition.wait_for([&] { return stage.load() == 2; });
    }
  });
  EXPECT_FALSE(rlock.locked());
}

TEST_P(ConditionTest, ItemsAreMadeAndTaken) {
  const Lock lock;
  const Condition filled(lock), emptied(lock);
  const Value<int> stock(0), taken(0);
  run_all(GetParam(), 4, [&](std::size_t n) {
    for (int i = 0; i < 500; ++i) {
      const std::scoped_lock hold(lock);
      if (n % 2 == 0) {
        emptied.wait_for([&] { return stock.load() < 3; });
        stock.fetch_add(1);
        filled.notify();
      } else {
        filled.wait_for([&] { return stock.load() > 0; });
        stock.fetch_add(-1);
        taken.fetch_add(1);
        emptied.notify();
      }
    }
  });
  EXPECT_EQ(stock.load(), 0);
  EXPECT_EQ(taken.load(), 1000);
}

TEST(ConditionTest, TheOldestAreNotifiedFirstAndOnlyAsMany) {
  const Condition condition;
  Pipe told;
  std::vector<Child> waiters;
  for (const char name : {'a', 'b', 'c', 'd', 'e'}) {
    waiters.push_back(waiter_at(condition, told, name));
  }
  condition.notify();
  EXPECT_EQ(told.receive<char>(), 'a');
  condition.notify(2);
  const char x = *told.receive<char>(), y = *told.receive<char>();
  EXPECT_EQ(x + y, 'b' + 'c');
  EXPECT_FALSE(test_support::wait_readable(told.read_end(), test_support::Deadline(50ms)));
  condition.notify_all();
  told.receive<char>();
  told.receive<char>();
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(ConditionTest, ANotificationIsForThoseWhoWaitThen) {
  const Condition condition;
  condition.notify(3);
  const std::scoped_lock hold(condition);
  EXPECT_FALSE(condition.wait(5ms));
}

TEST(ConditionTest, NotifyNeverWaitsForAWaiter) {
  const Condition condition;
  Pipe told;
  Child waiter = waiter_at(condition, told, 'a');
  waiter.kill(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(waiter.pid(), &status, WUNTRACED), waiter.pid());
  condition.notify();  // it is alive, and has it
  Child other = waiter_at(condition, told, 'b');
  EXPECT_FALSE(test_support::wait_readable(told.read_end(), test_support::Deadline(50ms)));
  condition.notify();
  EXPECT_EQ(told.receive<char>(), 'b');
  waiter.kill(SIGCONT);
  EXPECT_EQ(told.receive<char>(), 'a');
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_EQ(other.wait(), (test_support::ChildStatus{0, 0}));
}

// Notified while its time runs out: it counts as notified.
TEST(ConditionTest, WhoWasNotifiedInTimeIsToldSoHoweverLateItGetsTheLock) {
  const Condition condition;
  Child waiter = start_child([&] {
    const std::scoped_lock hold(condition);
    EXPECT_TRUE(condition.wait(10s));
  });
  await_futex_sleep(waiter);
  {
    const std::scoped_lock hold(condition);
    condition.notify();
    EXPECT_FALSE(waiter.wait(test_support::Deadline(50ms)).has_value());
  }
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(ConditionTest, ADeadWaiterIsNotCounted) {
  const Condition condition;
  Pipe told;
  Child doomed = waiter_at(condition, told, 'a');
  Child heir = waiter_at(condition, told, 'b');
  doomed.kill();
  doomed.wait();
  condition.notify();
  EXPECT_EQ(told.receive<char>(), 'b');
  EXPECT_EQ(heir.wait(), (test_support::ChildStatus{0, 0}));
}

// It has been notified and waits for the lock: its notification goes to the next, at once.
TEST(ConditionTest, ANotifiedWaiterThatDiesTakesNothingWithIt) {
  const Condition condition;
  Pipe told;
  Child doomed = waiter_at(condition, told, 'a');
  Child heir = waiter_at(condition, told, 'b');
  steady_clock::time_point killed;
  {
    const std::scoped_lock hold(condition);
    condition.notify();
    std::this_thread::yield();
    await_futex_sleep(doomed);
    killed = steady_clock::now();
    doomed.kill();
    doomed.wait();
  }
  EXPECT_EQ(told.receive<char>(), 'b');
  EXPECT_LT(steady_clock::now() - killed, told_at_once);
  EXPECT_EQ(heir.wait(), (test_support::ChildStatus{0, 0}));
}

TEST(ConditionTest, AWaiterKilledAtItsWakeUpDoesNotSwallowIt) {
  for (int round = 0; round < 40; ++round) {
    const Condition condition(OnOwnerDeath::Release);
    Pipe told;
    Child doomed = start_child([&] {
      const std::scoped_lock hold(condition);
      condition.wait();
      condition.notify();  // if it came so far
    });
    await_futex_sleep(doomed);
    Child heir = waiter_at(condition, told, 'b');
    condition.notify();
    doomed.kill();
    const auto status = heir.wait(test_support::Deadline(5s));
    doomed.wait();
    if (!status) {
      // Killed between the return of its wait and its own notification.
      condition.notify();
      ASSERT_EQ(heir.wait(test_support::Deadline(20s)), (test_support::ChildStatus{0, 0}))
          << "in round " << round;
    }
  }
}

// Whoever takes the lock again is told of a death, as everybody is.
TEST(ConditionTest, TheDeathOfTheHolderIsToldToWhoWaits) {
  const Condition condition;
  Child waiter = start_child([&] {
    {
      const std::scoped_lock hold(condition), twice(condition);
      EXPECT_THROW(condition.wait(), OwnerDied);
      EXPECT_THROW(condition.wait(), StateError);
    }
    EXPECT_THROW(condition.unlock(), StateError);
    EXPECT_THROW(condition.lock(), OwnerDied);
    EXPECT_TRUE(condition.recover());
    condition.unlock();
    EXPECT_THROW(condition.unlock(), StateError);
  });
  await_futex_sleep(waiter);
  Child holder = child_that([&] {
    condition.lock();
    condition.notify();
  });
  holder.kill();
  holder.wait();
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_TRUE(condition.try_lock());
  condition.unlock();
}

// The guards go on: what was recovered is released by one of them, and the others have nothing to
// release. So it is with the lock itself, which does not know of the condition.
TEST(ConditionTest, GuardsAroundAWaitThatLostTheLockEndInPeace) {
  const Lock plain;
  const RLock recursive;
  const auto check = [](const auto& lock, int guards, bool recover) {
    const Condition condition(lock);
    Child waiter = start_child([&] {
      const std::scoped_lock first(lock);
      const auto wait = [&] {
        EXPECT_THROW(condition.wait(), OwnerDied);
        if (recover) {
          EXPECT_TRUE(lock.recover());
        }
      };
      if (guards == 1) return wait();
      const std::unique_lock second(condition);
      wait();
    });
    await_futex_sleep(waiter);
    Child holder = child_that([&] {
      lock.lock();
      condition.notify();
    });
    holder.kill();
    holder.wait();
    EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    EXPECT_EQ(lock.locked(), !recover);
    if (!recover) {
      EXPECT_TRUE(lock.recover());
      lock.release();
    }
  };
  for (const bool recover : {false, true}) {
    check(plain, 1, recover);
    check(recursive, 1, recover);
    check(recursive, 2, recover);
  }
}

// Each way round: who takes the lock again after a wait closes the cycle, or is a part of it.
TEST(ConditionTest, TakingTheLockAgainTakesPartInDeadlocks) {
  for (const bool waiter_closes : {false, true}) {
    const RLock lock(Name{"table"});
    const Lock other(Name{"other"});
    const Condition condition(lock);
    const Value<int> victims(0);
    const auto told = [&](const DeadlockError& error) {
      victims.fetch_add(1);
      EXPECT_EQ(error.cycle().size(), 2u);
      EXPECT_NE(std::string(error.what()).find("'table'"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("'other'"), std::string::npos) << error.what();
    };
    Child waiter = start_child([&] {
      const std::scoped_lock hold(other);
      const std::scoped_lock table(lock);
      try {
        condition.wait();
      } catch (const DeadlockError& error) {
        told(error);
      }
    });
    await_futex_sleep(waiter);
    lock.acquire();
    if (waiter_closes) {
      Thread notifier([&] {
        await_futex_sleep(::getpid(), ::getpid());
        condition.notify();
      });
      other.acquire();  // the waiter is told, and its guards let go of it
      notifier.join();
      other.release();
    } else {
      condition.notify();
      await_futex_sleep(waiter);  // most often for the lock by now; else it closes the cycle
      try {
        other.acquire();
        other.release();
      } catch (const DeadlockError& error) {
        told(error);
      }
    }
    lock.release();
    EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    EXPECT_EQ(victims.load(), 1);
  }
}

TEST(ConditionTest, TravelsUnderEveryStartMethod) {
  for (const StartMethod method : get_all_start_methods()) {
    const Condition condition;
    const Value<int> stage(0);
    ProcessOptions options;
    options.start_method = method;
    Process other(
        options,
        [stage](const Condition& mine) {
          const std::scoped_lock hold(mine);
          stage.store(1);
          mine.notify();
          mine.wait_for([&] { return stage.load() == 2; });
        },
        condition);
    other.start();
    {
      const std::scoped_lock hold(condition);
      condition.wait_for([&] { return stage.load() == 1; });
      stage.store(2);
      condition.notify_all();
    }
    other.join();
    EXPECT_EQ(other.exitcode(), 0);
  }
}

TEST(ConditionTest, NothingIsLeftOfOne) {
  const auto use = [] {
    const Condition condition;
    const std::scoped_lock hold(condition);
    (void)condition.wait(0s);
  };
  use();
  const auto before = memory_stats().blocks;
  for (int i = 0; i < 500; ++i) use();
  EXPECT_LT(memory_stats().blocks, before + 100);
}

}  // namespace
}  // namespace procession
