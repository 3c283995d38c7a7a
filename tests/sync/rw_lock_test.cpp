#include "procession/rw_lock.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "memory/sweep.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "procession/memory.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "sync/sleeper.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr test_support::ChildStatus success{0, 0};

// In a thread or process of its own.
void elsewhere(Kind kind, const std::function<void()>& body) {
  run_all(kind, 1, [&](std::size_t) { body(); });
}

void end(Child& child) {
  child.kill();
  child.wait();
}

class RWLockTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, RWLockTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

TEST_P(RWLockTest, AWriterIsAlone) {
  const RWLock lock;
  EXPECT_FALSE(lock.locked());
  lock.lock();
  EXPECT_TRUE(lock.locked());
  EXPECT_FALSE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock_for(1ms));
  EXPECT_FALSE(lock.try_lock_shared());
  EXPECT_FALSE(lock.try_lock_shared_for(1ms));
  elsewhere(GetParam(), [&] {
    EXPECT_TRUE(lock.locked());
    EXPECT_FALSE(lock.try_lock());
    EXPECT_FALSE(lock.try_acquire());
    EXPECT_FALSE(lock.try_lock_for(1ms));
    EXPECT_FALSE(lock.try_lock_shared());
    EXPECT_FALSE(lock.try_lock_shared_for(1ms));
    EXPECT_FALSE(lock.try_lock_shared_until(std::chrono::system_clock::now() + 1ms));
  });
  lock.unlock();
  EXPECT_FALSE(lock.locked());
  elsewhere(GetParam(), [&] {
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
    EXPECT_TRUE(lock.acquire(1s));
    lock.release();
  });
}

TEST_P(RWLockTest, ReadersAreTogether) {
  const RWLock lock;
  lock.lock_shared();
  EXPECT_TRUE(lock.locked());
  elsewhere(GetParam(), [&] {
    EXPECT_TRUE(lock.try_lock_shared());
    EXPECT_TRUE(lock.try_acquire_shared());
    EXPECT_TRUE(lock.acquire_shared(1ms));
    EXPECT_TRUE(lock.acquire_shared());
    EXPECT_FALSE(lock.try_lock());
    for (int i = 0; i < 4; ++i) lock.release_shared();
    EXPECT_THROW(lock.unlock_shared(), StateError);
    EXPECT_TRUE(lock.locked());  // not by us
    EXPECT_FALSE(lock.try_lock());
    EXPECT_FALSE(lock.try_lock_for(1ms));
    EXPECT_FALSE(lock.try_lock_until(steady_clock::now() + 1ms));
    lock.lock_shared();  // after a writer that gave up
    lock.unlock_shared();
  });
  lock.unlock_shared();
  EXPECT_FALSE(lock.locked());
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST(RWLockTest, SharesOfAThreadAreCounted) {
  const RWLock lock;
  for (int i = 0; i < 3; ++i) lock.lock_shared();
  EXPECT_FALSE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock_for(1ms));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(lock.locked());
    lock.unlock_shared();
  }
  EXPECT_FALSE(lock.locked());
}

// More threads at once than the first chunk of the readers' table has entries.
TEST(RWLockTest, AReaderInAnySlotIsSeenByWriters) {
  const RWLock lock;
  const auto look = [&] {
    lock.lock_shared();
    EXPECT_FALSE(lock.try_lock());
    EXPECT_TRUE(lock.locked());
    lock.unlock_shared();
    EXPECT_FALSE(lock.locked());
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  };
  const std::function<void(int)> descend = [&](int depth) {
    look();
    if (depth > 0) elsewhere(Kind::Threads, [&] { descend(depth - 1); });
    look();
  };
  descend(140);
}

TEST_P(RWLockTest, OnlyItsHolderMayUnlock) {
  const RWLock lock(Name{"table"});
  EXPECT_THROW(lock.unlock(), StateError);
  EXPECT_THROW(lock.unlock_shared(), StateError);
  lock.lock_shared();
  EXPECT_THROW(lock.unlock(), StateError);
  elsewhere(GetParam(), [&] {
    EXPECT_THROW(lock.unlock(), StateError);
    try {
      lock.unlock_shared();
      FAIL();
    } catch (const StateError& error) {
      EXPECT_NE(std::string(error.what()).find("'table'"), std::string::npos);
    }
  });
  lock.unlock_shared();
  lock.lock();
  EXPECT_THROW(lock.unlock_shared(), StateError);
  elsewhere(GetParam(), [&] { EXPECT_THROW(lock.unlock(), StateError); });
  EXPECT_TRUE(lock.locked());
  lock.unlock();
}

TEST(RWLockTest, TheChildOfAForkHoldsNothing) {
  const RWLock lock;
  lock.lock_shared();
  EXPECT_EQ(test_support::run_child([&] {
              EXPECT_THROW(lock.unlock_shared(), StateError);
              EXPECT_FALSE(lock.try_lock());
              EXPECT_TRUE(lock.try_lock_shared());
              lock.unlock_shared();
            }),
            success);
  lock.unlock_shared();
  lock.lock();
  EXPECT_EQ(test_support::run_child([&] { EXPECT_THROW(lock.unlock(), StateError); }), success);
  lock.unlock();
}

TEST(RWLockTest, TheGuardsOfTheStandardLibraryWork) {
  RWLock lock(OnOwnerDeath::Raise, Name{"a"});
  const RWLock other(Name{"b"}, OnOwnerDeath::Release), third(OnOwnerDeath::Release), copy = lock;
  {
    const std::scoped_lock guard(lock, other);
    EXPECT_TRUE(copy.locked() && other.locked());
  }
  {
    const std::shared_lock one(lock);
    const std::shared_lock two(copy);
    std::shared_lock three(other, 1ms);
    EXPECT_TRUE(one.owns_lock() && two.owns_lock() && three.owns_lock());
    const RWLock shipped = RWLock::from_object(lock.handle_object());
    const std::unique_lock four(shipped, std::try_to_lock);
    EXPECT_FALSE(four.owns_lock());
  }
  const std::unique_lock guard(third, steady_clock::now() + 1s);
  EXPECT_TRUE(guard.owns_lock());
  EXPECT_FALSE(lock.locked());
  const RWLock moved = std::move(lock);
  EXPECT_THROW(lock.lock(), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW(lock.lock_shared(), StateError);
  EXPECT_THROW((void)RWLock::from_object(nullptr).locked(), StateError);
}

TEST(RWLockTest, DurationsBelowZeroCountAsZeroAndHugeOnesAsForEver) {
  const RWLock lock;
  elsewhere(Kind::Threads, [&] {
    EXPECT_TRUE(lock.try_lock_for(std::chrono::hours::max()));
    lock.unlock();
    EXPECT_TRUE(lock.try_lock_shared_for(std::chrono::hours::max()));
    EXPECT_FALSE(lock.try_lock_for(-1h));
    EXPECT_FALSE(lock.try_lock_until(steady_clock::time_point::min()));
    lock.unlock_shared();
  });
}

TEST_P(RWLockTest, WritersExcludeEverybodyAndReadersSeeWholeStates) {
  const RWLock lock;
  const Value<std::array<long, 4>> table({0, 0, 0, 0});
  const Value<long> reads(0);
  run_all(GetParam(), 5, [&](std::size_t n) {
    for (int i = 0; i < 3'000; ++i) {
      auto& words = table.value();
      if (n < 2) {
        const std::scoped_lock guard(lock);
        for (long& word : words) word = word + 1;
      } else {
        const std::shared_lock guard(lock);
        const long first = words[0];
        for (const long& word : words) ASSERT_EQ(word, first);
        reads.fetch_add(1);
      }
    }
  });
  EXPECT_EQ(table.value()[3], 6'000);
  EXPECT_EQ(reads.load(), 9'000);
  EXPECT_FALSE(lock.locked());
}

// Holders yield, so that nearly everybody sleeps; some give up.
TEST_P(RWLockTest, NobodyIsForgotten) {
  const RWLock lock;
  const Value<long> counter(0), gave_up(0);
  run_all(GetParam(), 6, [&](std::size_t n) {
    for (int i = 0; i < 300; ++i) {
      if (n < 2) {
        lock.lock();
        counter.value() += 1;
        sched_yield();
        lock.unlock();
      } else if (n < 4) {
        lock.lock_shared();
        sched_yield();
        lock.unlock_shared();
      } else if (n == 4) {
        if (!lock.try_lock_for(std::chrono::microseconds(50 * (i % 4)))) continue;
        counter.value() += 1;
        gave_up.fetch_add(-1);
        lock.unlock();
      } else if (lock.try_lock_shared_for(std::chrono::microseconds(50 * (i % 4)))) {
        sched_yield();
        lock.unlock_shared();
      }
    }
  });
  EXPECT_EQ(counter.load() + gave_up.load(), 600);
  EXPECT_FALSE(lock.locked());
}

TEST(RWLockTest, SleepersAreWoken) {
  const RWLock lock;
  lock.lock();
  std::vector<Child> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(start_child([&] {
      lock.lock_shared();
      lock.unlock_shared();
    }));
  }
  for (const Child& reader : readers) await_futex_sleep(reader);
  lock.unlock();
  for (Child& reader : readers) EXPECT_EQ(reader.wait(), success);
  lock.lock_shared();
  Child writer = start_child([&] {
    lock.lock();
    lock.unlock();
  });
  await_futex_sleep(writer);
  lock.unlock_shared();
  EXPECT_EQ(writer.wait(), success);
}

// All readers are let in together, not one after the other.
TEST(RWLockTest, ReadersThatWaitedAreTogetherInside) {
  const RWLock lock;
  const Value<int> inside(0);
  const Event all;
  lock.lock();
  std::vector<Child> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(start_child([&] {
      const std::shared_lock guard(lock);
      if (inside.fetch_add(1) == 2) all.set();
      EXPECT_TRUE(all.wait(20s));
    }));
  }
  for (const Child& reader : readers) await_futex_sleep(reader);
  lock.unlock();
  for (Child& reader : readers) EXPECT_EQ(reader.wait(), success);
}

TEST(RWLockTest, AWaitingWriterKeepsNewReadersOutAndOldOnesIn) {
  const RWLock lock;
  lock.lock_shared();
  Child writer = start_child([&] {
    lock.lock();
    lock.unlock();
  });
  await_futex_sleep(writer);
  elsewhere(Kind::Processes, [&] {
    EXPECT_FALSE(lock.try_lock_shared());
    EXPECT_FALSE(lock.try_lock_shared_for(1ms));
  });
  Child reader = start_child([&] {
    lock.lock_shared();
    lock.unlock_shared();
  });
  await_futex_sleep(reader);
  lock.lock_shared();  // this thread has a share: it may have another
  EXPECT_TRUE(lock.try_lock_shared());
  lock.unlock_shared();
  lock.unlock_shared();
  lock.unlock_shared();
  EXPECT_EQ(writer.wait(), success);
  EXPECT_EQ(reader.wait(), success);
}

// Readers that never leave a gap between them.
TEST_P(RWLockTest, AWriterIsNotStarved) {
  const RWLock lock;
  const Value<int> written(0);
  run_all(GetParam(), 4, [&](std::size_t n) {
    if (n == 0) {
      for (int i = 0; i < 100; ++i) {
        const std::scoped_lock guard(lock);
        written.fetch_add(1);
      }
      return;
    }
    const auto limit = steady_clock::now() + 30s;
    while (written.load() < 100 && steady_clock::now() < limit) {
      const std::shared_lock guard(lock);
      sched_yield();
    }
    EXPECT_EQ(written.load(), 100);
  });
}

TEST(RWLockTest, TravelsToWorkers) {
  Pool pool(2);
  const RWLock lock(Name{"shipped"});
  lock.lock_shared();
  EXPECT_TRUE(pool.apply([lock] {
    if (!lock.try_lock_shared()) return false;
    lock.unlock_shared();
    return !lock.try_lock();
  }));
  EXPECT_FALSE(pool.apply([](RWLock there) { return there.try_lock(); }, lock));
  lock.unlock_shared();
  const RWLock made = pool.apply([] {
    const RWLock fresh(Name{"made there"});
    fresh.lock_shared();
    fresh.unlock_shared();
    return fresh;
  });
  EXPECT_TRUE(made.try_lock());
  made.unlock();
}

// What readers have made in it goes with it, whoever drops it last.
TEST(RWLockTest, LeavesNothingBehind) {
  const auto use = [] {
    const RWLock lock;
    elsewhere(Kind::Processes, [&] {
      lock.lock_shared();
      lock.unlock_shared();
    });
    lock.lock_shared();
    lock.unlock_shared();
    detail::sweep_dead_processes();
  };
  use();
  const auto before = memory_stats().blocks;
  for (int i = 0; i < 5; ++i) use();
  EXPECT_EQ(memory_stats().blocks, before);
}

// --- deaths ----------------------------------------------------------------------------------

TEST(RWLockDeathTest, OfTheWriterPoisonsItForWritersAndReaders) {
  const RWLock lock(Name{"table"});
  Child writer = child_that([&] { lock.lock(); });
  const pid_t pid = writer.pid();
  Pipe told;
  std::vector<Child> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.push_back(start_child([&, i] {
      EXPECT_THROW(i % 2 == 0 ? lock.lock() : lock.lock_shared(), OwnerDied);
      told.send(steady_clock::now());
    }));
  }
  for (const Child& waiter : waiters) await_futex_sleep(waiter);
  const auto killed = steady_clock::now();
  writer.kill();
  for (int i = 0; i < 4; ++i) {
    EXPECT_LT(*told.receive<steady_clock::time_point>() - killed,
              test_support::under_asan || test_support::under_tsan ? 2s : 50ms);
  }
  for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), success);
  writer.wait();
  try {
    (void)lock.try_lock_shared();
    FAIL();
  } catch (const OwnerDied& death) {
    EXPECT_EQ(death.pid(), pid);
    EXPECT_EQ(death.object_name(), "table");
  }
  EXPECT_THROW((void)lock.try_lock(), OwnerDied);
  EXPECT_THROW((void)lock.try_lock_for(1s), OwnerDied);
  EXPECT_THROW((void)lock.try_lock_shared_for(1s), OwnerDied);
  EXPECT_THROW(lock.unlock(), StateError);
  EXPECT_THROW(lock.unlock_shared(), StateError);
  EXPECT_TRUE(lock.locked());
  EXPECT_TRUE(lock.recover());
  EXPECT_EQ(test_support::run_child([&] { EXPECT_FALSE(lock.try_lock_shared()); }), success);
  lock.unlock();
  EXPECT_FALSE(lock.recover());
  lock.unlock();
  lock.lock_shared();
  lock.unlock_shared();
}

TEST(RWLockDeathTest, OfAWriterThreadAndAnExitCountAsWell) {
  const RWLock lock;
  Thread([&] { lock.lock(); }).join();
  EXPECT_THROW(lock.lock_shared(), OwnerDied);
  EXPECT_TRUE(lock.recover());
  lock.unlock();
  EXPECT_EQ(test_support::run_child([&] { lock.lock(); }), success);  // it exits
  EXPECT_THROW(lock.unlock(), StateError);
  EXPECT_THROW(lock.lock(), OwnerDied);
  EXPECT_TRUE(lock.recover());
  lock.unlock();
}

TEST(RWLockDeathTest, WithReleaseTheLockIsPassedOn) {
  const RWLock lock(OnOwnerDeath::Release, Name{"baton"});
  testing::internal::CaptureStderr();
  Child writer = child_that([&] { lock.lock(); });
  Child reader = start_child([&] {
    lock.lock_shared();
    lock.unlock_shared();
  });
  await_futex_sleep(reader);
  end(writer);
  EXPECT_EQ(reader.wait(), success);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("'baton'; the lock was passed on"),
            std::string::npos);
  lock.lock();
  lock.unlock();
}

TEST(RWLockDeathTest, OfAReaderGivesItsSharesBack) {
  const RWLock lock;
  Child reader = child_that([&] {
    lock.lock_shared();
    lock.lock_shared();
  });
  end(reader);
  EXPECT_FALSE(lock.locked());
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
  Thread([&] { lock.lock_shared(); }).join();
  lock.lock();
  lock.unlock();
}

// Also of more readers than a thread can listen to.
TEST(RWLockDeathTest, OfTheLastReaderWakesTheWriterAtOnce) {
  const RWLock lock;
  for (const std::size_t count : {std::size_t{1}, detail::most_watched + 3}) {
    std::vector<Child> readers;
    for (std::size_t i = 0; i < count; ++i) {
      readers.push_back(child_that([&] { lock.lock_shared(); }));
    }
    Pipe told;
    Child writer = start_child([&] {
      lock.lock();
      told.send(steady_clock::now());
      lock.unlock();
    });
    await_futex_sleep(writer);
    const auto killed = steady_clock::now();
    for (Child& reader : readers) reader.kill();
    const auto slack = test_support::under_asan || test_support::under_tsan ? 2s : 50ms;
    EXPECT_LT(*told.receive<steady_clock::time_point>() - killed, slack + count * 1ms);
    EXPECT_EQ(writer.wait(), success);
    for (Child& reader : readers) reader.wait();
  }
}

TEST(RWLockDeathTest, AStoppedHolderIsAlive) {
  const RWLock lock;
  Child reader = child_that([&] { lock.lock_shared(); });
  reader.kill(SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(reader.pid(), &status, WUNTRACED), reader.pid());
  EXPECT_FALSE(lock.try_lock_for(300ms));
  EXPECT_TRUE(lock.locked());
  end(reader);
  Child writer = child_that([&] { lock.lock(); });
  writer.kill(SIGSTOP);
  ASSERT_EQ(::waitpid(writer.pid(), &status, WUNTRACED), writer.pid());
  EXPECT_FALSE(lock.try_lock_shared_for(300ms));
  end(writer);
  EXPECT_THROW((void)lock.try_lock_shared(), OwnerDied);
}

TEST(RWLockDeathTest, OfAWaitingWriterLetsTheReadersIn) {
  for (const OnOwnerDeath on_death : {OnOwnerDeath::Raise, OnOwnerDeath::Release}) {
    const RWLock lock(on_death);
    lock.lock_shared();
    Child first = start_child([&] { lock.lock(); });
    await_futex_sleep(first);
    Child second = start_child([&] { lock.lock(); });
    await_futex_sleep(second);
    Child reader = start_child([&] {
      lock.lock_shared();
      lock.unlock_shared();
    });
    await_futex_sleep(reader);
    end(second);
    end(first);
    EXPECT_EQ(reader.wait(), success);  // nobody died with it
    EXPECT_EQ(test_support::run_child([&] { EXPECT_TRUE(lock.try_lock_shared()); }), success);
    lock.unlock_shared();
    lock.lock();
    lock.unlock();
  }
}

TEST(RWLockDeathTest, OfAWaitingWriterIsNoHold) {
  const RWLock lock;
  Child reader = child_that([&] { lock.lock_shared(); });
  Child writer = start_child([&] { lock.lock(); });
  await_futex_sleep(writer);
  end(writer);
  EXPECT_TRUE(lock.locked());
  EXPECT_TRUE(lock.try_lock_shared());
  lock.unlock_shared();
  end(reader);
  EXPECT_FALSE(lock.locked());
}

TEST(RWLockDeathTest, ManyKillsNeverStopTheSurvivors) {
  const RWLock lock;
  const auto work = [&](int n) {
    for (;; ++n) {
      try {
        if (n % 2 == 0) {
          lock.lock_shared();
          lock.unlock_shared();
        } else {
          lock.lock();
          lock.unlock();
        }
      } catch (const OwnerDied&) {
        lock.recover();
        lock.unlock();
      }
    }
  };
  std::deque<Child> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(start_child([&] { work(i); }));
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 20; ++i) {
      try {
        if (i % 2 == 0) {
          ASSERT_TRUE(lock.try_lock_for(20s)) << "in round " << round;
          lock.unlock();
        } else {
          ASSERT_TRUE(lock.try_lock_shared_for(20s)) << "in round " << round;
          lock.unlock_shared();
        }
      } catch (const OwnerDied&) {
        lock.recover();
        lock.unlock();
      }
    }
    end(workers.front());
    workers.pop_front();
    workers.push_back(start_child([&] { work(round); }));
  }
  for (Child& worker : workers) end(worker);
}

TEST(RWLockDeathTest, IsSeenOnOldKernelsToo) {
  EXPECT_EQ(test_support::run_child([] {
              detail::pretend_single_word_kernel();
              const RWLock lock;
              Child first = child_that([&] { lock.lock_shared(); });
              Child second = child_that([&] { lock.lock_shared(); });
              Child waiter = start_child([&] {
                lock.lock();
                lock.unlock();
              });
              await_futex_sleep(waiter);
              end(first);
              end(second);
              EXPECT_EQ(waiter.wait(), success);
              Child writer = child_that([&] { lock.lock(); });
              Child reader = start_child([&] { EXPECT_THROW(lock.lock_shared(), OwnerDied); });
              await_futex_sleep(reader);
              end(writer);
              EXPECT_EQ(reader.wait(), success);
            }),
            success);
}

// --- deadlocks -------------------------------------------------------------------------------

TEST(RWLockDeadlockTest, WithOneselfIsToldAtOnce) {
  const RWLock lock(Name{"mine"});
  lock.lock();
  EXPECT_THROW(lock.lock(), DeadlockError);
  EXPECT_THROW(lock.lock_shared(), DeadlockError);
  EXPECT_THROW(lock.recover(), DeadlockError);
  lock.unlock();
  lock.lock_shared();
  try {
    lock.lock();
    FAIL();
  } catch (const DeadlockError& error) {
    ASSERT_EQ(error.cycle().size(), 1u);
    EXPECT_EQ(error.cycle()[0].waits_for, "mine");
  }
  EXPECT_THROW(lock.recover(), DeadlockError);
  EXPECT_FALSE(lock.try_lock());
  lock.unlock_shared();
  EXPECT_FALSE(lock.locked());
}

// A reader waits for a lock of the writer that waits for this reader.
TEST(RWLockDeadlockTest, OfAReaderAndTheWriterThatWaitsForIt) {
  const RWLock table(Name{"table"});
  const Lock lock(Name{"lock"});
  table.lock_shared();
  Child bystander = child_that([&] { table.lock_shared(); });
  Child writer = start_child([&] {
    lock.acquire();
    table.lock();
    table.unlock();
    lock.release();
  });
  await_futex_sleep(writer);
  try {
    lock.acquire();
    FAIL();
  } catch (const DeadlockError& error) {
    ASSERT_EQ(error.cycle().size(), 2u);
    EXPECT_EQ(error.cycle()[0].waits_for, "lock");
    EXPECT_EQ(error.cycle()[1].waits_for, "table");
    EXPECT_EQ(error.cycle()[1].pid, writer.pid());
    EXPECT_EQ(error.cycle()[1].held_by, ::getpid());
  }
  table.unlock_shared();
  end(bystander);
  EXPECT_EQ(writer.wait(), success);
}

// The same with the writer last. It gives up; the readers that it kept out go on.
TEST(RWLockDeadlockTest, OfAWriterAndAReaderThatWaitsForIt) {
  const RWLock table(Name{"table"});
  const Lock lock(Name{"lock"});
  lock.acquire();
  Child reader = start_child([&] {
    table.lock_shared();
    lock.acquire();
    lock.release();
    table.unlock_shared();
  });
  await_futex_sleep(reader);
  EXPECT_THROW(table.lock(), DeadlockError);
  EXPECT_TRUE(table.try_lock_shared());
  table.unlock_shared();
  lock.release();
  EXPECT_EQ(reader.wait(), success);
  table.lock();
  table.unlock();
}

// Through a writer that only waits: it keeps a new reader out.
TEST(RWLockDeadlockTest, OfThreeThroughAWaitingWriter) {
  const RWLock table(Name{"table"});
  const Lock lock(Name{"lock"});
  lock.acquire();
  Child reader = start_child([&] {
    table.lock_shared();
    lock.acquire();
    lock.release();
    table.unlock_shared();
  });
  await_futex_sleep(reader);
  Child writer = start_child([&] {
    table.lock();
    table.unlock();
  });
  await_futex_sleep(writer);
  try {
    table.lock_shared();
    FAIL();
  } catch (const DeadlockError& error) {
    ASSERT_EQ(error.cycle().size(), 3u) << error.what();
    EXPECT_EQ(error.cycle()[0].held_by, writer.pid());
    EXPECT_EQ(error.cycle()[1].held_by, reader.pid());
    EXPECT_EQ(error.cycle()[2].held_by, ::getpid());
  }
  lock.release();
  EXPECT_EQ(reader.wait(), success);
  EXPECT_EQ(writer.wait(), success);
}

TEST_P(RWLockTest, OfTwoWritersEachBehindTheOthersShareOneGivesUp) {
  for (int round = 0; round < 20; ++round) {
    const std::array<RWLock, 2> locks;
    const Value<int> ready(0), victims(0);
    const Event go;
    run_all(GetParam(), 2, [&](std::size_t n) {
      locks[n].lock_shared();
      if (ready.fetch_add(1) == 1) go.set();
      go.wait();
      try {
        locks[1 - n].lock();
        locks[1 - n].unlock();
      } catch (const DeadlockError&) {
        victims.fetch_add(1);
      }
      locks[n].unlock_shared();
    });
    ASSERT_EQ(victims.load(), 1) << "in round " << round;
  }
}

TEST_P(RWLockTest, NoFalseAlarmWhereEverybodyKeepsTheOrder) {
  const std::array<RWLock, 3> locks;
  const auto end = steady_clock::now() + 2s;
  const Value<long> rounds(0);
  run_all(GetParam(), 6, [&](std::size_t n) {
    std::size_t i = n;
    while (steady_clock::now() < end) {
      ++i;
      const std::size_t low = i % 2, high = low + 1 + (i / 2) % (2 - low);
      const auto inner = [&] {
        if (i % 8 == 0) sched_yield();
        if (i % 5 == 0) {
          const std::scoped_lock guard(locks[high]);
        } else {
          const std::shared_lock guard(locks[high]);
        }
        rounds.fetch_add(1);
      };
      if (i % 3 == 0) {
        const std::scoped_lock outer(locks[low]);
        inner();
      } else {
        const std::shared_lock outer(locks[low]);
        inner();
      }
    }
  });
  EXPECT_GT(rounds.load(), 100);
}

TEST(RWLockDeadlockTest, ProcessesOfTheForkServer) {
  const RWLock a(Name{"a"});
  const Lock b(Name{"b"});
  const Value<int> ready(0), victims(0);
  const Event go;
  const auto party = [=](bool reads) {
    reads ? a.lock_shared() : b.lock();
    if (ready.fetch_add(1) == 1) go.set();
    go.wait();
    try {
      reads ? b.lock() : a.lock();
      reads ? b.unlock() : a.unlock();
    } catch (const DeadlockError&) {
      victims.fetch_add(1);
    }
    reads ? a.unlock_shared() : b.unlock();
  };
  Process one(party, false), two(party, true);
  one.start();
  two.start();
  EXPECT_TRUE(one.join(20s));
  EXPECT_TRUE(two.join(20s));
  EXPECT_EQ(one.exitcode(), 0);
  EXPECT_EQ(two.exitcode(), 0);
  EXPECT_EQ(victims.load(), 1);
}

}  // namespace
}  // namespace procession
