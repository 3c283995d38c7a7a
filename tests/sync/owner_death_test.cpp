#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <vector>

#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "sync_test.hpp"
#include "system/futex.hpp"

namespace procession {
namespace {

using namespace sync_test;

// Ends the child and waits until the kernel has taken it down.
void end(Child& child, int signal = SIGKILL) {
  child.kill(signal);
  child.wait();
}

TEST(OwnerDeathTest, TheNextAcquirerIsToldWhoDied) {
  const Lock lock(Name{"ledger"});
  Child holder = child_that([&] { lock.acquire(); });
  const pid_t pid = holder.pid();
  end(holder);
  EXPECT_TRUE(lock.locked());
  try {
    lock.acquire();
    FAIL();
  } catch (const OwnerDied& death) {
    EXPECT_EQ(death.pid(), pid);
    EXPECT_EQ(death.process_name(), "forked");
    EXPECT_EQ(death.object_name(), "ledger");
  }
}

TEST(OwnerDeathTest, APoisonedLockRefusesEveryoneUntilItIsRecovered) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  end(holder);
  EXPECT_THROW((void)lock.try_acquire(), OwnerDied);
  EXPECT_THROW((void)lock.acquire(1s), OwnerDied);
  EXPECT_THROW(lock.acquire(), OwnerDied);
  EXPECT_THROW(lock.release(), StateError);
  EXPECT_TRUE(lock.locked());
  EXPECT_TRUE(lock.recover());
  EXPECT_THROW(lock.acquire(), DeadlockError);  // it is ours
  lock.release();
  EXPECT_FALSE(lock.recover());
  lock.release();
  EXPECT_TRUE(lock.acquire());
  lock.release();
}

TEST(OwnerDeathTest, RecoverNeedsNobodyToHaveSeenTheDeath) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  end(holder);
  EXPECT_TRUE(lock.recover());
  lock.release();
}

TEST(OwnerDeathTest, AReleaseDoesNotHideADeath) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  end(holder);
  EXPECT_THROW(lock.release(), StateError);
  EXPECT_THROW(lock.acquire(), OwnerDied);
}

TEST(OwnerDeathTest, OneOfManyRecoversAndTheOthersWaitForIt) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  end(holder);
  std::atomic<int> recovered{0};
  run_all(Kind::Threads, 4, [&](std::size_t) {
    recovered += lock.recover() ? 1 : 0;
    lock.release();
  });
  EXPECT_EQ(recovered, 1);
}

// All of them, at once: the kernel wakes only one of those who watch the dead one.
TEST(OwnerDeathTest, EverySleepingWaiterLearnsOfADeathAtOnce) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  std::vector<Child> waiters;
  Pipe told;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(start_child([&] {
      EXPECT_THROW(lock.acquire(), OwnerDied);
      told.send(steady_clock::now());
    }));
  }
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  const auto killed = steady_clock::now();
  holder.kill();
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(*told.receive<steady_clock::time_point>() - killed,
              test_support::under_asan || test_support::under_tsan ? 2s : 50ms);
  }
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  holder.wait();
}

// Locks of one owner share its life token, and thereby the one wake-up of the kernel.
TEST(OwnerDeathTest, TheWaitersOfAllItsLocksLearnOfADeath) {
  const Lock first, second, third;
  Child holder = child_that([&] {
    first.acquire();
    second.acquire();
    third.acquire();
  });
  std::vector<Child> waiters;
  for (const Lock& lock : {first, second, third}) {
    waiters.push_back(start_child([lock] { EXPECT_THROW(lock.acquire(), OwnerDied); }));
  }
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  holder.kill();
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  holder.wait();
}

// Those who fell asleep under an earlier owner are told of the death of a later one.
TEST(OwnerDeathTest, WaitersThatSawOwnersComeAndGoLearnOfTheLastOnesDeath) {
  struct News {
    pid_t from;
    bool holds;
  };
  const Lock lock;
  lock.acquire();
  Pipe news, never;
  std::vector<Child> rivals;
  for (int i = 0; i < 4; ++i) {
    rivals.push_back(start_child([&] {
      try {
        lock.acquire();
        news.send(News{::getpid(), true});
        never.receive<char>();
      } catch (const OwnerDied&) {
        news.send(News{::getpid(), false});
      }
    }));
  }
  for (const Child& rival : rivals) await_futex_sleep(rival);
  lock.release();
  const News first = *news.receive<News>();
  EXPECT_TRUE(first.holds);
  for (const Child& rival : rivals) {
    if (rival.pid() != first.from) await_futex_sleep(rival);
  }
  ::kill(first.from, SIGKILL);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(news.receive<News>()->holds);
}

// The kernel wakes one for a death; that one waits for another lock, and is killed at once.
TEST(OwnerDeathTest, AWaiterKilledAsItLearnsOfADeathDoesNotKeepItToItself) {
  for (int round = 0; round < 30; ++round) {
    const Lock first, second;
    Child holder = child_that([&] {
      first.acquire();
      second.acquire();
    });
    Child doomed = start_child([&] { EXPECT_THROW(first.acquire(), OwnerDied); });
    await_futex_sleep(doomed);
    Child heir = start_child([&] { EXPECT_THROW(second.acquire(), OwnerDied); });
    await_futex_sleep(heir);
    holder.kill();
    doomed.kill();
    ASSERT_EQ(heir.wait(test_support::Deadline(20s)), (test_support::ChildStatus{0, 0}))
        << "in round " << round;
    holder.wait();
    doomed.wait();
  }
}

TEST(OwnerDeathTest, AStoppedHolderIsAlive) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  holder.kill(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(holder.pid(), &status, WUNTRACED), holder.pid());
  EXPECT_FALSE(lock.acquire(300ms));
  EXPECT_FALSE(lock.try_acquire());
  holder.kill(SIGCONT);
  EXPECT_FALSE(lock.try_acquire());
  end(holder);
  EXPECT_THROW((void)lock.try_acquire(), OwnerDied);
}

TEST(OwnerDeathTest, AThreadThatEndsHoldingHasDied) {
  const Lock lock;
  Thread holder([&] { lock.acquire(); });
  holder.join();
  try {
    lock.acquire();
    FAIL();
  } catch (const OwnerDied& death) {
    EXPECT_EQ(death.pid(), ::getpid());
    EXPECT_EQ(death.process_name(), "MainProcess");
  }
  EXPECT_TRUE(lock.recover());
  lock.release();
}

TEST(OwnerDeathTest, ASleeperIsToldOfAThreadThatEndsAlone) {
  const Lock lock;
  std::promise<void> go;
  std::promise<void> taken;
  Thread holder([&] {
    lock.acquire();
    taken.set_value();
    go.get_future().wait();
  });
  taken.get_future().wait();
  Child waiter = start_child([&] { EXPECT_THROW(lock.acquire(), OwnerDied); });
  await_futex_sleep(waiter);
  go.set_value();
  EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  holder.join();
}

TEST(OwnerDeathTest, WithReleaseTheLockIsPassedOn) {
  const Lock lock(OnOwnerDeath::Release, Name{"baton"});
  testing::internal::CaptureStderr();  // also that of the children to come
  Child holder = child_that([&] { lock.acquire(); });
  std::vector<Child> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.push_back(start_child([&] {
      lock.acquire();
      lock.release();
    }));
  }
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  end(holder);
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("'baton'; the lock was passed on"),
            std::string::npos);
  EXPECT_TRUE(lock.try_acquire());
  lock.release();
  EXPECT_FALSE(lock.recover());
  lock.release();
}

TEST(OwnerDeathTest, AKilledWaiterLeavesTheLockWorking) {
  const Lock lock;
  lock.acquire();
  Child waiter = start_child([&] { lock.acquire(); });
  await_futex_sleep(waiter);
  end(waiter);
  lock.release();
  EXPECT_TRUE(lock.acquire(1s));
  lock.release();
}

// A waiter is killed just when the release wakes it: its wake-up goes to the next one.
TEST(OwnerDeathTest, AWaiterKilledAtItsWakeUpDoesNotSwallowIt) {
  const Lock lock;
  for (int round = 0; round < 40; ++round) {
    lock.acquire();
    Child doomed = start_child([&] {
      lock.acquire();
      lock.release();
    });
    await_futex_sleep(doomed);
    Child heir = start_child([&] {
      try {
        lock.acquire();
      } catch (const OwnerDied&) {  // the doomed one had come as far as that
        lock.recover();
      }
      lock.release();
    });
    await_futex_sleep(heir);
    // Stopped while it sleeps it would not be woken; killed while the wake-up is on its way it
    // may have been.
    lock.release();
    doomed.kill();
    const auto status = heir.wait(test_support::Deadline(20s));
    ASSERT_EQ(status, (test_support::ChildStatus{0, 0})) << "in round " << round;
    doomed.wait();
    if (lock.locked()) {
      EXPECT_TRUE(lock.recover());
      lock.release();
    }
  }
}

// Kills come at any moment, for a second: the survivors always go on.
TEST(OwnerDeathTest, ManyKillsNeverStopTheSurvivors) {
  const Lock lock;
  const auto work = [&] {
    for (;;) {
      try {
        lock.acquire();
      } catch (const OwnerDied&) {
        lock.recover();
      }
      for (int i = 0; i < 50; ++i) detail::cpu_relax();
      lock.release();
    }
  };
  std::deque<Child> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(start_child(work));
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 20; ++i) {
      try {
        ASSERT_TRUE(lock.acquire(20s)) << "in round " << round;
      } catch (const OwnerDied&) {
        lock.recover();
      }
      lock.release();
    }
    workers.front().kill();
    workers.front().wait();
    workers.pop_front();
    workers.push_back(start_child(work));
  }
}

}  // namespace
}  // namespace procession
