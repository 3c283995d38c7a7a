#include "procession/lock.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

#include "procession/errors.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

// Memory of the family that tests write to.
template <class T>
class Shared {
 public:
  Shared() : at_(new (detail::allocate(sizeof(T))) T()) {}
  ~Shared() { detail::deallocate(at_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T& operator*() const { return *at_; }
  T* operator->() const { return at_; }

 private:
  T* at_;
};

class LockTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, LockTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

TEST(LockTest, StartsFreeAndIsTakenAndReleased) {
  const Lock lock;
  EXPECT_FALSE(lock.locked());
  EXPECT_TRUE(lock.acquire());
  EXPECT_TRUE(lock.locked());
  EXPECT_FALSE(lock.try_acquire());
  lock.release();
  EXPECT_FALSE(lock.locked());
  EXPECT_TRUE(lock.try_acquire());
  lock.release();
}

TEST(LockTest, ReleaseOfAFreeLockIsAnErrorThatNamesIt) {
  const Lock lock(Name{"accounts"});
  try {
    lock.release();
    FAIL();
  } catch (const StateError& error) {
    EXPECT_NE(std::string(error.what()).find("'accounts'"), std::string::npos);
  }
}

TEST(LockTest, ACopyNamesTheSameLock) {
  const Lock lock;
  const Lock copy = lock;
  const Lock shipped = Lock::from_object(lock.handle_object());
  lock.acquire();
  EXPECT_FALSE(copy.try_acquire());
  shipped.release();
  EXPECT_FALSE(lock.locked());
}

TEST(LockTest, AMovedFromHandleIsAnError) {
  Lock lock;
  const Lock other = std::move(lock);
  EXPECT_THROW(lock.acquire(), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW(lock.release(), StateError);
  EXPECT_THROW((void)Lock::from_object(nullptr).locked(), StateError);
}

TEST(LockTest, ConstructorArgumentsComeInAnyOrder) {
  const Lock a(Name{"a"}), b(OnOwnerDeath::Release), c(Name{"c"}, OnOwnerDeath::Raise),
      d(OnOwnerDeath::Raise, Name{"d"});
  for (const Lock& lock : {a, b, c, d}) EXPECT_FALSE(lock.locked());
  struct Holder {
    Lock lock;
  } holder{};
  EXPECT_FALSE(holder.lock.locked());
}

TEST(LockTest, AcquiringItTwiceInOneThreadIsADeadlockAtOnce) {
  const Lock lock(Name{"mine"});
  lock.acquire();
  try {
    lock.acquire();
    FAIL();
  } catch (const DeadlockError& error) {
    ASSERT_EQ(error.cycle().size(), 1u);
    EXPECT_EQ(error.cycle()[0].pid, ::getpid());
    EXPECT_EQ(error.cycle()[0].held_by, ::getpid());
    EXPECT_EQ(error.cycle()[0].waits_for, "mine");
  }
  EXPECT_THROW(lock.recover(), DeadlockError);
  EXPECT_FALSE(lock.acquire(5ms));  // that one ends by itself
  EXPECT_TRUE(lock.locked());
  lock.release();
}

TEST(LockTest, DurationsBelowZeroCountAsZeroAndHugeOnesAsForEver) {
  const Lock lock;
  const auto start = steady_clock::now();
  lock.acquire();
  EXPECT_FALSE(lock.acquire(-1h));
  EXPECT_FALSE(lock.acquire(0s));
  EXPECT_FALSE(lock.try_lock_for(std::chrono::duration<double>(-1e300)));
  EXPECT_FALSE(lock.try_lock_until(steady_clock::time_point::min()));
  EXPECT_FALSE(lock.try_lock_until(std::chrono::system_clock::time_point::min()));
  EXPECT_LT(steady_clock::now() - start, 1s);
  lock.release();
  EXPECT_TRUE(lock.acquire(std::chrono::hours::max()));
  lock.release();
  EXPECT_TRUE(lock.try_lock_until(steady_clock::time_point::max()));
  lock.release();
  EXPECT_TRUE(lock.try_lock_until(std::chrono::system_clock::time_point::max()));
  lock.release();
  EXPECT_TRUE(lock.acquire(std::chrono::duration<float>(std::numeric_limits<float>::infinity())));
  lock.release();
}

TEST(LockTest, ScopedAndUniqueLocksWork) {
  const Lock a, b;
  {
    const std::scoped_lock guard(a, b);
    EXPECT_TRUE(a.locked() && b.locked());
  }
  std::unique_lock guard(a, 1ms);
  EXPECT_TRUE(guard.owns_lock());
  std::unique_lock again(b, std::defer_lock);
  EXPECT_TRUE(again.try_lock_until(std::chrono::system_clock::now() + 1ms));
  again.unlock();
  guard.unlock();
  EXPECT_FALSE(a.locked() || b.locked());
}

TEST_P(LockTest, OnlyOneAtATimeIsInside) {
  const std::size_t rounds = test_support::under_tsan ? 20'000 : 100'000;
  const Lock lock;
  const Shared<long> counter;
  run_all(GetParam(), 3, [&](std::size_t) {
    for (std::size_t i = 0; i < rounds; ++i) {
      const std::scoped_lock guard(lock);
      *counter = *counter + 1;
    }
  });
  EXPECT_EQ(*counter, static_cast<long>(3 * rounds));
}

TEST(LockTest, TwoProcessesCountToTwoMillion) {
  const Lock lock;
  const Shared<long> counter;
  run_all(Kind::Processes, 2, [&](std::size_t) {
    for (int i = 0; i < 1'000'000; ++i) {
      lock.acquire();
      *counter = *counter + 1;
      lock.release();
    }
  });
  EXPECT_EQ(*counter, 2'000'000);
}

// Sleeping waiters are handed on to by every release, also with more of them than processors.
TEST_P(LockTest, NobodyIsForgottenWhenAllSleep) {
  const Lock lock;
  const Shared<long> counter;
  run_all(GetParam(), 6, [&](std::size_t) {
    for (int i = 0; i < 200; ++i) {
      const std::scoped_lock guard(lock);
      *counter = *counter + 1;
      const auto end = steady_clock::now() + 20us;
      while (steady_clock::now() < end) {
      }
      sched_yield();
    }
  });
  EXPECT_EQ(*counter, 1200);
}

// Timed waiters come and go between those that wait for ever.
TEST_P(LockTest, ThoseWhoGiveUpTakeNoWakeUpWithThem) {
  const Lock lock;
  const Shared<std::atomic<long>> taken;
  run_all(GetParam(), 4, [&](std::size_t n) {
    for (int i = 0; i < 300; ++i) {
      if (n < 2) {
        lock.acquire();
      } else if (!lock.acquire(std::chrono::microseconds(50 * (i % 4)))) {
        continue;
      }
      taken->fetch_add(1);
      lock.release();
    }
  });
  EXPECT_GE(taken->load(), 600);
  EXPECT_FALSE(lock.locked());
}

TEST_P(LockTest, AnotherMayRelease) {
  const Lock lock;
  lock.acquire();
  run_all(GetParam(), 1, [&](std::size_t) { lock.release(); });
  EXPECT_FALSE(lock.locked());
  lock.acquire();
  lock.release();
}

TEST_P(LockTest, ATimedWaitEndsInTimeAndNotBefore) {
  const Lock lock;
  lock.acquire();
  run_all(GetParam(), 1, [&](std::size_t) {
    const auto start = steady_clock::now();
    EXPECT_FALSE(lock.acquire(30ms));
    EXPECT_GE(steady_clock::now() - start, 30ms);
    EXPECT_LT(steady_clock::now() - start, 5s);
  });
  lock.release();
  run_all(GetParam(), 1, [&](std::size_t) {
    EXPECT_TRUE(lock.acquire(1h));
    lock.release();
  });
}

TEST(LockTest, ASleeperIsWokenByARelease) {
  const Lock lock;
  lock.acquire();
  Child child = start_child([&] {
    lock.acquire();
    lock.release();
  });
  await_futex_sleep(child);
  lock.release();
  EXPECT_EQ(child.wait(), (test_support::ChildStatus{0, 0}));
}

// The child has another thread slot than its parent, whose locks it therefore does not own.
TEST(LockTest, AForkedChildIsAnotherOwner) {
  const Lock lock;
  lock.acquire();
  EXPECT_EQ(test_support::run_child([&] {
              EXPECT_FALSE(lock.try_acquire());
              EXPECT_FALSE(lock.acquire(1ms));
              EXPECT_EQ(test_support::run_child([&] { EXPECT_FALSE(lock.try_acquire()); }),
                        (test_support::ChildStatus{0, 0}));
            }),
            (test_support::ChildStatus{0, 0}));
  EXPECT_TRUE(lock.locked());
  EXPECT_THROW(lock.acquire(), DeadlockError);
  lock.release();
}

}  // namespace
}  // namespace procession
