#include "procession/rlock.hpp"

#include <signal.h>
#include <unistd.h>

#include <mutex>
#include <string>

#include "procession/errors.hpp"
#include "procession/pool.hpp"
#include "procession/value.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr test_support::ChildStatus success{0, 0};

class RLockTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, RLockTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

TEST_P(RLockTest, IsFreeAfterAsManyReleasesAsAcquires) {
  const RLock lock;
  EXPECT_FALSE(lock.locked());
  EXPECT_TRUE(lock.acquire());
  EXPECT_TRUE(lock.try_acquire());
  EXPECT_TRUE(lock.acquire(0s));
  EXPECT_TRUE(lock.try_lock_until(std::chrono::system_clock::now()));
  EXPECT_FALSE(lock.recover());  // an acquire too
  for (int i = 0; i < 5; ++i) {
    run_all(GetParam(), 1, [&](std::size_t) {
      EXPECT_TRUE(lock.locked());
      EXPECT_FALSE(lock.try_acquire());
      EXPECT_FALSE(lock.acquire(1ms));
    });
    lock.release();
  }
  EXPECT_FALSE(lock.locked());
  run_all(GetParam(), 1, [&](std::size_t) {
    lock.acquire();
    lock.release();
  });
}

TEST_P(RLockTest, OnlyItsThreadMayRelease) {
  const RLock lock(Name{"register"});
  EXPECT_THROW(lock.release(), StateError);
  lock.acquire();
  run_all(GetParam(), 1, [&](std::size_t) {
    try {
      lock.release();
      FAIL();
    } catch (const StateError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("'register'"), std::string::npos) << text;
      EXPECT_NE(text.find(GetParam() == Kind::Threads ? "another thread of this process"
                                                      : "'MainProcess'"),
                std::string::npos)
          << text;
    }
  });
  EXPECT_TRUE(lock.locked());
  lock.release();
  EXPECT_THROW(lock.release(), StateError);
}

TEST(RLockTest, TheChildOfAForkDoesNotHoldIt) {
  const RLock lock;
  lock.acquire();
  EXPECT_EQ(test_support::run_child([&] {
              EXPECT_FALSE(lock.try_acquire());
              EXPECT_THROW(lock.release(), StateError);
            }),
            success);
  lock.release();
}

TEST(RLockTest, HandlesAndArgumentsAreAsForLock) {
  RLock lock(OnOwnerDeath::Release, Name{"a"});
  const RLock copy = lock, shipped = RLock::from_object(lock.handle_object());
  const RLock other(Name{"b"}, OnOwnerDeath::Raise), third(OnOwnerDeath::Raise), fourth(Name{"d"});
  {
    const std::scoped_lock guard(copy, other, third, fourth);
    std::unique_lock again(shipped, 1ms);
    EXPECT_TRUE(again.owns_lock());
  }
  EXPECT_FALSE(copy.locked());
  const RLock moved = std::move(lock);
  EXPECT_THROW(lock.acquire(), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW((void)RLock::from_object(nullptr).locked(), StateError);
}

TEST(RLockTest, TooDeepIsAnError) {
  const RLock lock(Name{"well"});
  lock.acquire();
  auto& core = reinterpret_cast<detail::LockShared*>(lock.handle_object())->core;
  core.depth = 0xffffffff;
  EXPECT_THROW(lock.acquire(), StateError);
  EXPECT_THROW((void)lock.try_acquire(), StateError);
  EXPECT_THROW(lock.recover(), StateError);
  EXPECT_EQ(core.depth, 0xffffffff);
  core.depth = 1;
  lock.release();
}

TEST_P(RLockTest, OnlyOneAtATimeIsInside) {
  const RLock lock;
  const Value<long> counter;
  run_all(GetParam(), 3, [&](std::size_t) {
    for (int i = 0; i < 20'000; ++i) {
      const std::scoped_lock guard(lock);
      lock.acquire();
      counter.value() = counter.value() + 1;
      lock.release();
    }
  });
  EXPECT_EQ(counter.load(), 60'000);
}

TEST(RLockTest, AConditionCanSetItFreeAndRestoreIt) {
  const RLock lock;
  auto& [head, core] = *reinterpret_cast<detail::LockShared*>(lock.handle_object());
  for (int i = 0; i < 3; ++i) lock.acquire();
  const std::uint32_t depth = detail::rlock_release_all(core, head);
  EXPECT_EQ(depth, 3u);
  EXPECT_FALSE(lock.locked());
  EXPECT_THROW((void)detail::rlock_release_all(core, head), StateError);
  detail::rlock_acquire_with(core, head, depth);
  for (int i = 0; i < 3; ++i) lock.release();
  EXPECT_FALSE(lock.locked());
}

TEST(RLockTest, ADeathAtAnyDepthIsToldAndRecoveredToDepthOne) {
  const RLock lock(Name{"ledger"});
  for (const int depth : {1, 3}) {
    Child holder = child_that([&] {
      for (int i = 0; i < depth; ++i) lock.acquire();
    });
    const pid_t pid = holder.pid();
    Child waiter = start_child([&] { EXPECT_THROW(lock.acquire(), OwnerDied); });
    await_futex_sleep(waiter);
    holder.kill();
    EXPECT_EQ(waiter.wait(), success);
    holder.wait();
    try {
      (void)lock.try_acquire();
      FAIL();
    } catch (const OwnerDied& death) {
      EXPECT_EQ(death.pid(), pid);
      EXPECT_EQ(death.object_name(), "ledger");
    }
    EXPECT_THROW(lock.release(), StateError);
    EXPECT_TRUE(lock.recover());
    EXPECT_EQ(test_support::run_child([&] { EXPECT_FALSE(lock.try_acquire()); }), success);
    lock.release();
    EXPECT_FALSE(lock.locked());
  }
}

TEST(RLockTest, AReleaseDoesNotHideADeath) {
  const RLock lock;
  Thread([&] { lock.acquire(); }).join();
  EXPECT_THROW(lock.release(), StateError);
  EXPECT_THROW(lock.acquire(), OwnerDied);
  EXPECT_TRUE(lock.recover());
  lock.release();
}

TEST(RLockTest, WithReleaseTheLockIsPassedOn) {
  const RLock lock(OnOwnerDeath::Release, Name{"baton"});
  testing::internal::CaptureStderr();
  Thread([&] {
    lock.acquire();
    lock.acquire();
  }).join();
  lock.acquire();
  lock.release();
  EXPECT_FALSE(lock.locked());
  EXPECT_NE(testing::internal::GetCapturedStderr().find("'baton'; the lock was passed on"),
            std::string::npos);
}

TEST(RLockTest, TravelsToWorkersAsArgumentResultAndCapture) {
  Pool pool(2);
  const RLock lock(Name{"shipped"});
  const Value<long> count;
  pool.map(
      [lock, count](int) {
        for (int i = 0; i < 1000; ++i) {
          const std::scoped_lock outer(lock);
          const std::scoped_lock inner(lock);
          count.value() += 1;
        }
      },
      {1, 2, 3, 4}, 1);
  EXPECT_EQ(count.load(), 4000);
  lock.acquire();
  EXPECT_FALSE(pool.apply([](RLock there) { return there.try_acquire(); }, lock));
  lock.release();
  const RLock made = pool.apply([] { return RLock(Name{"made there"}); });
  EXPECT_TRUE(made.try_acquire());
  made.release();
}

TEST(ValueLockTest, GetLockIsTheLockOfWithLock) {
  const Value<long> small(1, Name{"small"});
  struct Wide {
    long words[5];
  };
  const Value<Wide> wide({{1, 2, 3, 4, 5}}, Name{"wide"});
  const auto check = [](const auto& value) {
    const RLock lock = value.get_lock();
    lock.acquire();
    value.with_lock([&](auto&) { lock.acquire(); });  // deeper, and one less again
    EXPECT_EQ(test_support::run_child([&] { EXPECT_FALSE(value.get_lock().try_acquire()); }),
              success);
    lock.release();
    lock.release();
    EXPECT_FALSE(lock.locked());
    Child child = child_that([&] { value.get_lock().acquire(); });
    child.kill();
    child.wait();
    EXPECT_THROW(value.with_lock([](auto&) {}), OwnerDied);
    EXPECT_TRUE(lock.recover());
    lock.release();
    value.with_lock([](auto&) {});
  };
  check(small);
  check(wide);
}

TEST(ValueLockTest, TheLockKeepsTheValueAlive) {
  RLock lock = Value<int>(3).get_lock();
  lock.acquire();
  lock.release();
}

}  // namespace
}  // namespace procession
