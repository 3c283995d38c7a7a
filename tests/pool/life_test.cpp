// A pool from its making to its end: close, terminate, join, destruction, moves.

#include <signal.h>

#include <atomic>
#include <ranges>
#include <thread>
#include <utility>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

TEST(PoolLife, AClosedPoolTakesNoCallsAndRunsTheOnesItHas) {
  Pool pool(1);
  Event running, gate;
  auto first = pool.apply_async(hold, 1, running, gate);
  std::vector<AsyncResult<int>> rest;
  for (int i = 0; i < 20; ++i) rest.push_back(pool.apply_async(square, i));
  pool.close();
  thrown<PoolClosed>([&] { pool.apply(square, 2); });
  thrown<PoolClosed>([&] { (void)pool.apply_async(square, 2); });
  thrown<PoolClosed>([&] { pool.map(square, {1, 2}); });
  thrown<PoolClosed>([&] { pool.imap(square, {1, 2}).next(); });
  thrown<PoolClosed>([&] { pool.with({.retries = 1}).apply(square, 2); });
  running.wait();
  gate.set();
  pool.join();
  EXPECT_TRUE(first.ready());
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(rest[static_cast<std::size_t>(i)].ready());
    EXPECT_EQ(rest[static_cast<std::size_t>(i)].get(), i * i);
  }
}

TEST(PoolLife, CloseJoinAndTerminateMayBeCalledAgain) {
  Pool pool(2);
  pool.apply(square, 1);
  pool.close();
  pool.close();
  pool.join();
  pool.join();
  EXPECT_TRUE(pool.join(0s));
  pool.terminate();
  pool.terminate();
  pool.join();
  pool.close();
  EXPECT_EQ(pool.processes(), 2u);
}

TEST(PoolLife, JoinBeforeCloseIsAnError) {
  Pool pool(1);
  thrown<StateError>([&] { pool.join(); }, {"close"});
  thrown<StateError>([&] { (void)pool.join(10ms); });
  EXPECT_EQ(pool.apply(square, 2), 4);
}

TEST(PoolLife, JoinWaitsNoLongerThanAllowed) {
  Pool pool(1);
  Event running, gate;
  auto later = pool.apply_async(hold, 1, running, gate);
  pool.close();
  EXPECT_FALSE(pool.join(0s));
  EXPECT_FALSE(pool.join(50ms));
  gate.set();
  EXPECT_TRUE(pool.join(patience));
  EXPECT_TRUE(later.ready());
}

TEST(PoolLife, AJoinedPoolHasNoWorkers) {
  Pool pool(3);
  pool.map(square, {1, 2, 3}, 1);
  const auto workers = watch_workers(pool);
  EXPECT_EQ(workers.size(), 3u);
  pool.close();
  pool.join();
  for (const Watched& worker : workers) EXPECT_TRUE(worker.has_ended());
}

TEST(PoolLife, AClosedPoolStillReplacesWorkersThatDie) {
  Pool pool(1);
  Event running, gate;
  Value<pid_t> pid(0);
  auto first = pool.apply_async(hold_as, 1, pid, running, gate);
  auto second = pool.apply_async(square, 3);
  running.wait();
  pool.close();
  ::kill(pid.load(), SIGKILL);
  EXPECT_THROW(first.get(patience), WorkerDied);
  EXPECT_EQ(second.get(patience), 9);
  pool.join();
}

TEST(PoolLife, TerminateFreesEverybodyThatWaits) {
  Pool pool(2);
  Event running, gate;
  std::vector<AsyncResult<int>> all;
  for (int i = 0; i < 6; ++i) all.push_back(pool.apply_async(hold, i, running, gate));
  running.wait();
  std::atomic<int> closed{0}, waiting{0};
  std::vector<std::thread> threads;
  for (auto& result : all) {
    threads.emplace_back([&closed, &waiting, result]() mutable {
      try {
        ++waiting;
        result.get();
      } catch (const PoolClosed&) {
        ++closed;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return waiting == 6; }));
  const auto spent = time_of([&] {
    pool.terminate();
    for (auto& thread : threads) thread.join();
  });
  EXPECT_LT(spent, promptly);
  EXPECT_EQ(closed, 6);
  thrown<PoolClosed>([&] { pool.apply(square, 2); });
  pool.join();
}

TEST(PoolLife, TerminateFreesWhoJoins) {
  Pool pool(1);
  Event running, gate;
  auto later = pool.apply_async(hold, 1, running, gate);
  running.wait();
  pool.close();
  std::thread joiner([&] { pool.join(); });
  EXPECT_FALSE(pool.join(50ms));
  pool.terminate();
  joiner.join();
  thrown<PoolClosed>([&] { later.get(patience); });
}

TEST(PoolLife, TheDestructorEndsWhatRuns) {
  Event running, gate;
  std::vector<Watched> workers;
  const auto spent = time_of([&] {
    Pool pool(2);
    auto later = pool.map_async(
        [running, gate](int x) {
          running.set();
          gate.wait();
          return x;
        },
        std::views::iota(0, 100), 1);
    running.wait();
    for (const pid_t pid : worker_pids(pool)) workers.emplace_back(pid);
  });
  EXPECT_LT(spent, promptly);
  EXPECT_EQ(workers.size(), 2u);
  for (const Watched& worker : workers) EXPECT_TRUE(worker.has_ended());
}

TEST(PoolLife, TheDestructorDoesNotMindDeafOrStoppedWorkers) {
  const auto spent = time_of([&] {
    Pool pool(2);
    Event running, never;
    auto later = pool.apply_async([running, never] {
      ::signal(SIGTERM, SIG_IGN);
      ::signal(SIGINT, SIG_IGN);
      running.set();
      never.wait();
    });
    running.wait();
    for (const Watched& worker : watch_workers(pool)) worker.kill(SIGSTOP);
  });
  EXPECT_LT(spent, promptly);
}

TEST(PoolLife, APoolThatIsNeverUsedEndsToo) {
  const auto spent = time_of([] {
    for (int i = 0; i < 10; ++i) Pool pool(2);
  });
  EXPECT_LT(spent, 4 * promptly);
}

class PoolLifeCounted : public test_support::LeavesNothing {};

TEST_F(PoolLifeCounted, FiftyPoolsInARowLeaveNothing) {
  Pool(1).apply(square, 1);
  for (int i = 0; i < 50; ++i) {
    Pool pool(2);
    ASSERT_EQ(pool.map(square, {1, 2, 3}), (std::vector<int>{1, 4, 9}));
  }
  expect_nothing_left();
}

TEST(PoolLife, PoolsSideBySideDoNotMix) {
  std::vector<Pool> pools;
  for (int i = 0; i < 5; ++i) pools.emplace_back(1);
  std::vector<AsyncResult<pid_t>> pids;
  for (const Pool& pool : pools) pids.push_back(pool.apply_async(own_pid));
  for (std::size_t i = 0; i < pools.size(); ++i) {
    EXPECT_EQ(pids[i].get(patience), worker_pids(pools[i]).at(0));
  }
  pools.erase(pools.begin() + 1);
  EXPECT_EQ(pools.back().apply(square, 4), 16);
}

TEST(PoolLife, AMovedPoolGoesOnAndTheOldOneRefuses) {
  Pool first(1);
  auto later = first.apply_async(square, 3);
  Pool second(std::move(first));
  EXPECT_EQ(later.get(patience), 9);
  EXPECT_EQ(second.apply(square, 4), 16);
  thrown<StateError>([&] { first.apply(square, 1); });  // NOLINT: moved from
  thrown<StateError>([&] { (void)first.stats(); });
  thrown<StateError>([&] { first.close(); });
  thrown<StateError>([&] { (void)first.processes(); });
  Pool third(1);
  const auto replaced = watch_workers(third);
  third = std::move(second);
  for (const Watched& worker : replaced) EXPECT_TRUE(worker.has_ended());
  EXPECT_EQ(third.apply(square, 5), 25);
}

TEST(PoolLife, SeveralThreadsShareOnePool) {
  Pool pool(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, &wrong, t] {
      for (int i = 0; i < 100; ++i) {
        wrong += pool.apply(square, i + t) != (i + t) * (i + t);
        if (i % 10 != 0) continue;
        const auto all = pool.map(square, std::views::iota(t, t + 20), 3);
        for (int x = 0; x < 20; ++x) wrong += all[static_cast<std::size_t>(x)] != (x + t) * (x + t);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(PoolLife, CloseWhileOthersSubmitIsOneOrTheOther) {
  for (int round = 0; round < 10; ++round) {
    Pool pool(2);
    std::atomic<int> accepted{0}, answered{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        try {
          for (;;) {
            auto later = pool.apply_async(square, 3);
            ++accepted;
            answered += later.get() == 9;
          }
        } catch (const PoolClosed&) {
        }
      });
    }
    EXPECT_TRUE(eventually([&] { return accepted > 20; }));
    pool.close();
    for (auto& thread : threads) thread.join();
    pool.join();
    EXPECT_EQ(accepted, answered);
  }
}

TEST(PoolLife, TerminateWhileOthersSubmitHangsNobody) {
  for (int round = 0; round < 10; ++round) {
    Pool pool(2);
    std::atomic<int> begun{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        try {
          for (;; ++begun) pool.map(square, std::views::iota(0, 50), 1);
        } catch (const PoolClosed&) {
        }
      });
    }
    EXPECT_TRUE(eventually([&] { return begun > 3; }));
    pool.terminate();
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace procession::pool_test
