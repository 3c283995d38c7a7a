// What every lock has in common as a handle, in the standard's guards, and when it is misused.
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <utility>

#include "sync/contestant.hpp"

namespace procession {
namespace {

using namespace sync_test;

template <class Row>
class HandleConformance : public testing::Test {};
TYPED_TEST_SUITE(HandleConformance, TypesOf<Rows>::Types, RowNames);

TYPED_TEST(HandleConformance, TheGuardsOfTheStandardTakeItAndLetGo) {
  using Handle = typename TypeParam::Handle;
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const Handle handle = TypeParam::make(Name{"guarded"});
    run_contestant(by, [handle] {
      { const std::lock_guard guard(handle); }
      { const std::scoped_lock guard(handle); }
      { const std::unique_lock guard(handle); }
      EXPECT_TRUE(std::unique_lock(handle, std::try_to_lock).owns_lock());
      EXPECT_TRUE(std::unique_lock(handle, 1h).owns_lock());
      EXPECT_TRUE(std::unique_lock(handle, steady_clock::now() + 1h).owns_lock());
      EXPECT_TRUE(std::unique_lock(handle, std::chrono::system_clock::now() + 1h).owns_lock());
      handle.lock();
      EXPECT_TRUE(std::unique_lock(handle, std::adopt_lock).owns_lock());
      std::unique_lock later(handle, std::defer_lock);
      EXPECT_TRUE(later.try_lock());
      later.unlock();
      EXPECT_TRUE(later.try_lock_for(1h));
      later.unlock();
      try {
        const std::scoped_lock guard(handle);
        throw std::logic_error("on the way");
      } catch (const std::logic_error&) {
      }
    });
    TypeParam::block(handle);  // all have let go
    run_contestant(by, [handle] {
      EXPECT_FALSE(std::unique_lock(handle, std::try_to_lock).owns_lock());
      EXPECT_FALSE(std::unique_lock(handle, 1ms).owns_lock());
      EXPECT_FALSE(std::unique_lock(handle, steady_clock::now() + 1ms).owns_lock());
    });
    TypeParam::unblock(handle);
  }
}

TEST(RWLockConformance, TheSharedGuardOfTheStandardTakesAShareAndGivesItBack) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const RWLock lock(Name{"guarded"});
    {
      const std::shared_lock mine(lock);
      run_contestant(by, [lock] {
        { const std::shared_lock guard(lock); }
        EXPECT_TRUE(std::shared_lock(lock, std::try_to_lock).owns_lock());
        EXPECT_TRUE(std::shared_lock(lock, 1h).owns_lock());
        EXPECT_TRUE(std::shared_lock(lock, steady_clock::now() + 1h).owns_lock());
        EXPECT_TRUE(std::shared_lock(lock, std::chrono::system_clock::now() + 1h).owns_lock());
        EXPECT_FALSE(std::unique_lock(lock, std::try_to_lock).owns_lock());
      });
    }
    const std::unique_lock alone(lock, std::try_to_lock);  // all shares are back
    EXPECT_TRUE(alone.owns_lock());
    run_contestant(by, [lock] {
      EXPECT_FALSE(std::shared_lock(lock, std::try_to_lock).owns_lock());
      EXPECT_FALSE(std::shared_lock(lock, 1ms).owns_lock());
    });
  }
}

// Taken twice and let go of once, it is still taken.
TYPED_TEST(HandleConformance, ItIsFreeAfterAsManyReleases) {
  if constexpr (TypeParam::facts.again == Again::Deeper && TypeParam::facts.exclusive) {
    for (const By by : everybody) {
      SCOPED_TRACE(name_of(by));
      const auto handle = TypeParam::make(Name{"accounts"});
      handle.lock();
      handle.lock();
      handle.unlock();
      run_contestant(by, [handle] {
        EXPECT_FALSE(handle.try_lock());
        EXPECT_FALSE(handle.acquire(1ms));
      });
      handle.unlock();
      run_contestant(by, [handle] {
        EXPECT_TRUE(handle.try_lock());
        handle.unlock();
      });
    }
  }
}

// Held by one handle in another process, seen by another here, let go of by a third there.
TYPED_TEST(HandleConformance, ACopyACaptureAndAnArgumentNameTheSameLock) {
  using Handle = typename TypeParam::Handle;
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const Handle handle = TypeParam::make(Name{"shared"});
    const Handle copy = handle;
    const Event taken, seen;
    Contestant holder(
        by,
        [handle, taken, seen](Handle argument) {
          TypeParam::block(handle);
          taken.set();
          EXPECT_TRUE(seen.wait(patience));
          Handle assigned = TypeParam::make(Name{"another"});
          assigned = std::move(argument);
          TypeParam::unblock(assigned);
        },
        copy);
    EXPECT_TRUE(taken.wait(patience));
    EXPECT_FALSE(copy.try_lock());
    EXPECT_FALSE(handle.try_lock());
    seen.set();
    holder.expect_success();
    EXPECT_TRUE(copy.try_lock());
    copy.unlock();
  }
}

template <class Handle>
void expect_all_to_refuse(const Handle& empty, const std::string& type) {
  const auto refuses = [&](auto&& call) { expect_error<StateError>("this " + type, call); };
  refuses([&] { empty.lock(); });
  refuses([&] { (void)empty.try_lock(); });
  refuses([&] { (void)empty.try_lock_for(1ms); });
  refuses([&] { (void)empty.try_lock_until(steady_clock::now()); });
  refuses([&] { (void)empty.try_lock_until(std::chrono::system_clock::now()); });
  refuses([&] { empty.unlock(); });
  refuses([&] { empty.acquire(); });
  refuses([&] { (void)empty.acquire(1ms); });
  refuses([&] { (void)empty.try_acquire(); });
  refuses([&] { empty.release(); });
  if constexpr (requires { empty.locked(); }) refuses([&] { (void)empty.locked(); });
  if constexpr (requires { empty.recover(); }) refuses([&] { (void)empty.recover(); });
  if constexpr (requires { empty.get_value(); }) {
    refuses([&] { (void)empty.get_value(); });
    refuses([&] { empty.release(2); });
  }
  if constexpr (requires { empty.notify(); }) {
    refuses([&] { empty.notify(); });
    refuses([&] { empty.notify_all(); });
    refuses([&] { empty.wait(); });
    refuses([&] { empty.wait(1ms); });
    refuses([&] { empty.wait_for([] { return false; }); });
    refuses([&] { empty.wait_for([] { return false; }, 1ms); });
  }
}

TYPED_TEST(HandleConformance, AnEmptyHandleRefusesEveryCallHereAndWhereItIsSent) {
  using Handle = typename TypeParam::Handle;
  Handle handle = TypeParam::make(Name{"moved"});
  const Handle other = std::move(handle);
  // NOLINTBEGIN(bugprone-use-after-move): what is moved from is the subject
  expect_all_to_refuse(handle, TypeParam::facts.type);
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    Contestant(
        by, [](const Handle& empty) { expect_all_to_refuse(empty, TypeParam::facts.type); }, handle)
        .expect_success();
  }
  handle = other;
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_TRUE(handle.try_lock());
  other.unlock();
}

TYPED_TEST(HandleConformance, AReleaseOfWhatNobodyHoldsIsAnErrorThatNamesIt) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"accounts"});
    run_contestant(by, [handle] {
      if constexpr (TypeParam::facts.counts) {
        handle.release();
        handle.unlock();
        EXPECT_EQ(handle.get_value(), 3);
        expect_error<StateError>("'accounts'",
                                 [&] { handle.release(std::numeric_limits<int>::max()); });
        EXPECT_EQ(handle.get_value(), 3);
        EXPECT_TRUE(handle.try_acquire());
        EXPECT_TRUE(handle.try_acquire());
      } else {
        expect_error<StateError>("'accounts'", [&] { handle.release(); });
        expect_error<StateError>("'accounts'", [&] { handle.unlock(); });
      }
      EXPECT_TRUE(handle.try_lock());
      handle.unlock();
    });
    TypeParam::block(handle);  // nothing has changed by it
    run_contestant(by, [handle] { EXPECT_FALSE(handle.try_lock()); });
    TypeParam::unblock(handle);
  }
}

TYPED_TEST(HandleConformance, AReleaseByAnotherCountsOnlyWhereAnyoneMayRelease) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"accounts"});
    for (const bool by_release : {true, false}) {
      TypeParam::block(handle);
      run_contestant(by, [handle, by_release] {
        const auto let_go = [&] { by_release ? handle.release() : handle.unlock(); };
        if constexpr (TypeParam::facts.others_release) {
          let_go();
          EXPECT_TRUE(handle.try_lock());
          handle.unlock();
        } else {
          expect_error<StateError>("'accounts'", let_go);
          EXPECT_FALSE(handle.try_lock());
        }
      });
      if constexpr (!TypeParam::facts.others_release) TypeParam::unblock(handle);
      EXPECT_TRUE(handle.try_lock());
      handle.unlock();
    }
  }
}

TYPED_TEST(HandleConformance, WhoHasItAndTakesItAgainGetsWhatItsTypeSays) {
  constexpr Again again = TypeParam::facts.again;
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"accounts"});
    run_contestant(by, [handle] {
      handle.lock();
      constexpr bool deeper = again == Again::Deeper;
      EXPECT_EQ(handle.try_lock(), deeper);
      EXPECT_EQ(handle.try_acquire(), deeper);
      EXPECT_EQ(handle.acquire(1ms), deeper);
      EXPECT_EQ(handle.try_lock_for(0s), deeper);
      EXPECT_EQ(handle.try_lock_until(steady_clock::now() + 1ms), deeper);
      if constexpr (again == Again::Deadlock) {
        expect_error<DeadlockError>("'accounts'", [&] { handle.lock(); });
        expect_error<DeadlockError>("'accounts'", [&] { handle.acquire(); });
      }
      for (int i = 0; deeper && i < 5; ++i) handle.release();
      handle.release();
    });
    TypeParam::block(handle);
    TypeParam::unblock(handle);
  }
}

}  // namespace
}  // namespace procession
