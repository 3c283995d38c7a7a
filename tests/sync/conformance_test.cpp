// What every lock promises to everybody: one at a time, limits that are kept, wake-ups that come.
#include <sched.h>

#include <mutex>

#include "sync/contestant.hpp"

namespace procession {
namespace {

using namespace sync_test;

template <class Row>
class Conformance : public testing::Test {};
TYPED_TEST_SUITE(Conformance, TypesOf<Rows>::Types, RowNames);

// In every way that there is, by turns.
template <class Handle>
void take(const Handle& handle, int turn) {
  switch (turn % 7) {
    case 0:
      return handle.lock();
    case 1:
      EXPECT_TRUE(handle.acquire());
      return;
    case 2:
      EXPECT_TRUE(handle.acquire(1h));
      return;
    case 3:
      EXPECT_TRUE(handle.try_lock_for(1h));
      return;
    case 4:
      EXPECT_TRUE(handle.try_lock_until(steady_clock::now() + 1h));
      return;
    case 5:
      EXPECT_TRUE(handle.try_lock_until(std::chrono::system_clock::now() + 1h));
      return;
    default:
      if (!handle.try_acquire()) handle.lock();
  }
}

template <class Handle>
void give(const Handle& handle, int turn) {
  turn % 2 == 0 ? handle.unlock() : handle.release();
}

// Loses counts when another is inside meanwhile.
void count_slowly(const Value<int>& counter) {
  const int seen = counter.value();
  ::sched_yield();
  counter.value() = seen + 1;
}

// Where there can be several inside, that they can is what must be shown.
TYPED_TEST(Conformance, OneAtATimeIsInsideOrAllTogether) {
  constexpr int parties = 3, turns = 140;
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"shared"});
    const Value<int> counter(0);
    if constexpr (TypeParam::facts.exclusive) {
      run_contestants(by, parties, [handle, counter](int number) {
        for (int turn = number; turn < number + turns; ++turn) {
          take(handle, turn);
          count_slowly(counter);
          give(handle, turn);
        }
      });
      EXPECT_EQ(counter.load(), parties * turns);
    } else {
      const Event all;
      run_contestants(by, parties, [handle, counter, all](int number) {
        take(handle, number);
        if (counter.fetch_add(1) + 1 == parties) all.set();
        EXPECT_TRUE(all.wait(patience));
        give(handle, number);
      });
    }
    TypeParam::block(handle);  // everything was given back
    TypeParam::unblock(handle);
  }
}

TYPED_TEST(Conformance, AnAttemptWhileAnotherHoldsItTakesNothing) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"shared"});
    TypeParam::block(handle);
    run_contestant(by, [handle] {
      EXPECT_FALSE(handle.try_acquire());
      EXPECT_FALSE(handle.try_lock());
      EXPECT_FALSE(handle.try_lock());
    });
    TypeParam::unblock(handle);
    TypeParam::block(handle);  // nobody has it
    run_contestant(by, [handle] { EXPECT_FALSE(handle.try_acquire()); });
    TypeParam::unblock(handle);
    run_contestant(by, [handle] {
      EXPECT_TRUE(handle.try_lock());
      handle.unlock();
      EXPECT_TRUE(handle.try_acquire());
      handle.release();
    });
  }
}

// How long the call takes, which must not succeed.
template <class Call>
std::chrono::nanoseconds time_to_fail(const Call& call) {
  const auto start = steady_clock::now();
  EXPECT_FALSE(call());
  return steady_clock::now() - start;
}

TYPED_TEST(Conformance, ALimitIsKeptAndNotAnticipated) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"shared"});
    const Event over;
    TypeParam::block(handle);
    Contestant rival(by, [handle, over] {
      EXPECT_GE(time_to_fail([&] { return handle.acquire(20ms); }), 20ms);
      EXPECT_GE(time_to_fail([&] { return handle.try_lock_for(20ms); }), 20ms);
      const auto steady = steady_clock::now() + 20ms;
      EXPECT_FALSE(handle.try_lock_until(steady));
      EXPECT_GE(steady_clock::now(), steady);
      // That clock may be set meanwhile; it is not, but it runs at a slightly other speed.
      EXPECT_GE(time_to_fail(
                    [&] { return handle.try_lock_until(std::chrono::system_clock::now() + 20ms); }),
                19ms);
      over.set();
      EXPECT_TRUE(handle.acquire(1h));
      handle.release();
    });
    EXPECT_TRUE(over.wait(patience));
    TypeParam::unblock(handle);
    rival.expect_success();
  }
}

TYPED_TEST(Conformance, NoTimeIsNoTimeAlsoBelowZero) {
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto handle = TypeParam::make(Name{"shared"});
    TypeParam::block(handle);
    run_contestant(by, [handle] {
      const auto start = steady_clock::now();
      EXPECT_FALSE(handle.acquire(0s));
      EXPECT_FALSE(handle.acquire(-1ns));
      EXPECT_FALSE(handle.acquire(std::chrono::hours::min()));
      EXPECT_FALSE(handle.try_lock_for(-1h));
      EXPECT_FALSE(handle.try_lock_for(std::chrono::duration<double>(-1e300)));
      EXPECT_FALSE(handle.try_lock_until(steady_clock::now() - 1h));
      EXPECT_FALSE(handle.try_lock_until(steady_clock::time_point::min()));
      EXPECT_FALSE(handle.try_lock_until(std::chrono::system_clock::now() - 1h));
      EXPECT_LT(steady_clock::now() - start, patience);
    });
    TypeParam::unblock(handle);
    run_contestant(by, [handle] {  // there is nothing to wait for
      EXPECT_TRUE(handle.acquire(0s));
      handle.release();
      EXPECT_TRUE(handle.acquire(-1h));
      handle.release();
      EXPECT_TRUE(handle.try_lock_for(0s));
      handle.unlock();
      EXPECT_TRUE(handle.try_lock_until(steady_clock::time_point::min()));
      handle.unlock();
      EXPECT_TRUE(handle.try_lock_until(std::chrono::system_clock::now() - 1h));
      handle.unlock();
    });
  }
}

TYPED_TEST(Conformance, ASleeperIsWokenByARelease) {
  for (const By by : everybody) {
    for (int turn = 0; turn < 6; ++turn) {
      SCOPED_TRACE(name_of(by) + ", way " + std::to_string(turn));
      const auto handle = TypeParam::make(Name{"shared"});
      const Event here;
      TypeParam::block(handle);
      Contestant sleeper(by, [handle, here, turn] {
        here.set();
        take(handle, turn);
        give(handle, turn);
      });
      EXPECT_TRUE(here.wait(patience));
      sleeper.await_sleep();
      TypeParam::unblock(handle);
      sleeper.expect_success();
    }
  }
}

// std::scoped_lock never waits for one lock while it holds the other.
TYPED_TEST(Conformance, TwoAtOnceInOppositeOrdersAreNoDeadlock) {
  constexpr int parties = 4, turns = 60;
  for (const By by : everybody) {
    SCOPED_TRACE(name_of(by));
    const auto a = TypeParam::make(Name{"a"}), b = TypeParam::make(Name{"b"});
    const Value<int> counter(0);
    run_contestants(by, parties, [a, b, counter](int number) {
      for (int turn = 0; turn < turns; ++turn) {
        const auto &first = number % 2 == 0 ? a : b, &second = number % 2 == 0 ? b : a;
        const std::scoped_lock both(first, second);
        if constexpr (TypeParam::facts.exclusive) {
          count_slowly(counter);
        } else {
          counter.fetch_add(1);
        }
      }
    });
    EXPECT_EQ(counter.load(), parties * turns);
  }
}

}  // namespace
}  // namespace procession
