// The pool's essentials, with each way to start its workers.

#include <signal.h>

#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/process.hpp"

namespace procession::pool_test {
namespace {

class PoolMethods : public ::testing::TestWithParam<StartMethod> {
 protected:
  PoolOptions options(int retries = 0) const {
    return {.processes = 2, .start_method = GetParam(), .retries = retries};
  }
};

INSTANTIATE_TEST_SUITE_P(Methods, PoolMethods,
                         ::testing::Values(StartMethod::Fork, StartMethod::ForkServer,
                                           StartMethod::Spawn),
                         [](const auto& test) -> std::string {
                           if (test.param == StartMethod::Fork) return "Fork";
                           return test.param == StartMethod::Spawn ? "Spawn" : "ForkServer";
                         });

TEST_P(PoolMethods, CallsAndMapsAreAnswered) {
  Pool pool(options());
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_NE(pool.apply(own_pid), own_pid());
  EXPECT_EQ(pool.map(square, {1, 2, 3, 4}), (std::vector<int>{1, 4, 9, 16}));
  int sum = 0;
  for (int x : pool.imap_unordered(square, std::views::iota(0, 50))) sum += x;
  EXPECT_EQ(sum, 40425);
}

TEST_P(PoolMethods, ExceptionsAndDeathsAreReported) {
  Pool pool(options());
  EXPECT_THROW(pool.apply([] { throw std::length_error("long"); }), std::length_error);
  for (int i = 0; i < 3; ++i) EXPECT_THROW(pool.apply(die, SIGKILL), WorkerDied);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST_P(PoolMethods, HandlesOfAnyAgeReachTheWorkers) {
  Value<int> before(0);
  Pool pool(options());
  pool.apply(square, 1);
  Value<int> after(0);
  Event event;
  pool.map(
      [before, after](int x) {
        before.fetch_add(x);
        after.fetch_add(2 * x);
      },
      {1, 2, 3});
  pool.apply([event] { event.set(); });
  EXPECT_EQ(before.load(), 6);
  EXPECT_EQ(after.load(), 12);
  EXPECT_TRUE(event.is_set());
}

TEST_P(PoolMethods, InitializerAndMaxTasksWork) {
  Value<int> runs(0);
  PoolOptions brief = options();
  brief.max_tasks_per_child = 2;
  Pool pool(
      brief, [](Value<int> count) { count.fetch_add(1); }, runs);
  EXPECT_EQ(pool.map(square, std::views::iota(0, 8), 1).size(), 8u);
  EXPECT_GE(runs.load(), 4);
}

TEST_P(PoolMethods, CapturesByReferenceAreRefused) {
  Pool pool(options());
  int local = 0;
  EXPECT_THROW(pool.apply([&local] { return local; }), NotShippable);
}

TEST_P(PoolMethods, IdleWorkersKilledAreReplaced) {
  Pool pool(options());
  for (int round = 0; round < 3; ++round) {
    for (const Watched& worker : watch_workers(pool)) worker.kill(SIGKILL);
    EXPECT_EQ(pool.map_async(square, {1, 2, 3}).get(patience), (std::vector<int>{1, 4, 9}));
  }
}

}  // namespace
}  // namespace procession::pool_test
