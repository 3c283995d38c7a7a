// Kernels before 5.16 let a thread wait for one word only.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <vector>

#include "procession/barrier.hpp"
#include "procession/condition.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "procession/semaphore.hpp"
#include "procession/value.hpp"
#include "sync/sleeper.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

// Everything in a child, as there is no way back.
void on_an_old_kernel(const std::function<void()>& body) {
  EXPECT_EQ(test_support::run_child([&] {
              detail::pretend_single_word_kernel();
              body();
            }),
            (test_support::ChildStatus{0, 0}));
}

TEST(SingleWordTest, ALockIsHandedOnBetweenSleepers) {
  on_an_old_kernel([] {
    const Lock lock;
    for (const Kind kind : {Kind::Processes, Kind::Threads}) {
      run_all(kind, 4, [&](std::size_t) {
        for (int i = 0; i < 200; ++i) {
          const std::scoped_lock guard(lock);
          sched_yield();
        }
      });
    }
    EXPECT_FALSE(lock.locked());
  });
}

TEST(SingleWordTest, AllSleepersLearnOfADeath) {
  on_an_old_kernel([] {
    const Lock lock;
    Child holder = child_that([&] { lock.acquire(); });
    std::vector<Child> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.push_back(start_child([&] { EXPECT_THROW(lock.acquire(), OwnerDied); }));
    }
    for (const Child& waiter : waiters) await_futex_sleep(waiter);
    holder.kill();
    for (Child& waiter : waiters) EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    holder.wait();
  });
}

TEST(SingleWordTest, ASleeperLearnsOfAThreadThatEndsAlone) {
  on_an_old_kernel([] {
    const Lock lock(OnOwnerDeath::Release);
    std::promise<void> go, taken;
    Thread holder([&] {
      lock.acquire();
      taken.set_value();
      go.get_future().wait();
    });
    taken.get_future().wait();
    Thread waiter([&] {
      lock.acquire();
      lock.release();
    });
    await_futex_sleep(::getpid(), waiter.tid());
    go.set_value();
    waiter.join();
    holder.join();
  });
}

TEST(SingleWordTest, TimedWaitsEndAndEventsWake) {
  on_an_old_kernel([] {
    const Lock lock;
    const Event event;
    lock.acquire();
    Child child = start_child([&] {
      EXPECT_FALSE(lock.acquire(5ms));
      EXPECT_TRUE(event.wait(1h));
    });
    await_futex_sleep(child);
    event.set();
    EXPECT_EQ(child.wait(), (test_support::ChildStatus{0, 0}));
  });
}

// Killed between the store and the wake-up that it owes, several at once, round after round.
TEST(SingleWordTest, WhatTheDeadOwedIsMadeUpFor) {
  on_an_old_kernel([] {
    constexpr std::size_t pairs = 3;
    const Value<std::array<std::uint32_t, pairs>> words;
    const auto word = [&](std::size_t i) -> std::atomic<std::uint32_t>& {
      return reinterpret_cast<std::atomic<std::uint32_t>&>(words.value()[i]);
    };
    constexpr std::uint32_t rounds = 60;
    const Value<std::array<std::uint32_t, pairs + 1>> seen;
    const auto await = [&](std::size_t i, std::uint32_t& mine) {
      detail::Sleeper sleeper(detail::this_thread(), word(i));
      for (std::uint32_t now = 0; now < rounds; now = word(i).load()) {
        std::atomic_ref(mine).store(now);
        sleeper.sleep(now, {});
      }
      std::atomic_ref(mine).store(rounds);
    };
    std::vector<Child> sleepers;
    for (std::size_t i = 0; i < pairs; ++i) {
      sleepers.push_back(start_child([&, i] { await(i, seen.value()[i]); }));
    }
    for (const Child& sleeper : sleepers) await_futex_sleep(sleeper);
    Thread here([&] { await(0, seen.value()[pairs]); });
    for (std::uint32_t round = 1; round <= rounds; ++round) {
      std::vector<Child> doomed;
      for (std::size_t i = 0; i < pairs; ++i) {
        doomed.push_back(start_child([&, i] {
          detail::Sleeper waker(detail::this_thread(), word(i));
          waker.go_on_duty();
          word(i).store(round);
          ::kill(::getpid(), SIGKILL);
        }));
      }
      for (Child& each : doomed) EXPECT_EQ(each.wait(), (test_support::ChildStatus{-1, SIGKILL}));
      for (std::uint32_t& each : seen.value()) {
        while (std::atomic_ref(each).load() != round) std::this_thread::yield();
      }
    }
    for (Child& sleeper : sleepers) {
      EXPECT_EQ(sleeper.wait(), (test_support::ChildStatus{0, 0}));
    }
    here.join();
  });
}

TEST(SingleWordTest, PermitsAreHandedOnAndComeBackFromTheDead) {
  on_an_old_kernel([] {
    const BoundedSemaphore seats(2);
    for (const Kind kind : {Kind::Processes, Kind::Threads}) {
      run_all(kind, 4, [&](std::size_t) {
        for (int i = 0; i < 200; ++i) {
          const std::scoped_lock guard(seats);
          sched_yield();
        }
      });
    }
    Child holder = child_that([&] {
      seats.acquire();
      seats.acquire();
    });
    Child waiter = start_child([&] { seats.acquire(); });
    await_futex_sleep(waiter);
    holder.kill();
    EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    holder.wait();
    EXPECT_EQ(seats.get_value(), 2);
  });
}

TEST(SingleWordTest, ABarrierBreaksAndAConditionNotifies) {
  on_an_old_kernel([] {
    const Barrier barrier(3);
    Child first = start_child([&] { EXPECT_THROW(barrier.wait(), BrokenBarrierError); });
    await_futex_sleep(first);
    Child doomed = start_child([&] { (void)barrier.wait(); });
    while (barrier.n_waiting() != 2) sched_yield();
    doomed.kill();
    EXPECT_EQ(first.wait(), (test_support::ChildStatus{0, 0}));
    doomed.wait();
    const Condition condition;
    Child waiter = start_child([&] {
      const std::scoped_lock hold(condition);
      condition.wait();
    });
    await_futex_sleep(waiter);
    condition.notify();
    EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
  });
}

}  // namespace
}  // namespace procession
