// The figures of a pool.

#include <signal.h>
#include <unistd.h>

#include <ranges>
#include <set>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

std::size_t tasks_of_all(const PoolStats& stats) {
  std::size_t sum = 0;
  for (const WorkerStats& worker : stats.workers) sum += worker.tasks;
  return sum;
}

TEST(PoolStatsOf, WorkersAreLivingProcessesOfTheirOwn) {
  Pool pool(3);
  pool.map(square, std::views::iota(0, 30), 1);
  const auto stats = pool.stats();
  ASSERT_EQ(stats.workers.size(), 3u);
  std::set<pid_t> pids;
  for (const WorkerStats& worker : stats.workers) {
    EXPECT_NE(worker.pid, own_pid());
    EXPECT_EQ(::kill(worker.pid, 0), 0);
    pids.insert(worker.pid);
    EXPECT_EQ(worker.restarts, 0u);
    EXPECT_LT(worker.startup, patience);
  }
  EXPECT_EQ(pids.size(), 3u);
}

TEST(PoolStatsOf, CallsAreCounted) {
  Pool pool(2);
  pool.apply(square, 1);
  pool.map(square, std::views::iota(0, 50), 7);
  EXPECT_THROW(pool.apply([] { throw 1; }), RemoteError);
  const auto stats = pool.stats();
  EXPECT_EQ(stats.done + stats.failed, 52u);
  EXPECT_EQ(stats.failed, 1u);
  EXPECT_EQ(stats.retried, 0u);
  EXPECT_EQ(stats.cancelled, 0u);
  EXPECT_EQ(stats.queued, 0u);
  EXPECT_EQ(stats.running, 0u);
  EXPECT_EQ(tasks_of_all(stats), 52u);
}

TEST(PoolStatsOf, WhatIsQueuedAndWhatRunsIsSeen) {
  Pool pool(1);
  Event running, gate;
  auto first = pool.apply_async(hold, 1, running, gate);
  running.wait();
  std::vector<AsyncResult<int>> rest;
  for (int i = 0; i < 5; ++i) rest.push_back(pool.apply_async(square, i));
  const auto stats = pool.stats();
  EXPECT_EQ(stats.running, 1u);
  EXPECT_EQ(stats.queued, 5u);
  EXPECT_EQ(stats.done, 0u);
  gate.set();
  for (auto& result : rest) result.get();
  EXPECT_EQ(pool.stats().queued, 0u);
  EXPECT_EQ(pool.stats().done, 6u);
}

TEST(PoolStatsOf, DeathsAndRestartsAreCounted) {
  Pool pool(1);
  for (int i = 0; i < 3; ++i) EXPECT_THROW(pool.apply(die, SIGKILL), WorkerDied);
  pool.apply(square, 1);
  const auto stats = pool.stats();
  EXPECT_EQ(stats.failed, 3u);
  EXPECT_EQ(stats.done, 1u);
  // Counted by who starts the replacement, which may be at work before that.
  EXPECT_TRUE(eventually([&] { return pool.stats().workers.at(0).restarts == 3; }));
}

TEST(PoolStatsOf, BusyAndIdleTimeAreWhatTheyWere) {
  Pool pool(1);
  pool.apply(square, 1);
  const auto before = pool.stats().workers.at(0);
  pool.apply([] { ::usleep(200'000); });
  const auto worker = pool.stats().workers.at(0);
  EXPECT_GE(worker.busy - before.busy, 190ms);
  EXPECT_LT(worker.busy, patience);
  ::usleep(200'000);
  const auto later = pool.stats().workers.at(0);
  EXPECT_GE(later.idle - worker.idle, 190ms);
  EXPECT_LT(later.busy - worker.busy, 150ms);
}

TEST(PoolStatsOf, PeakMemoryHoldsWhatATaskUsed) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have memory of their own";
  Pool pool(1);
  pool.apply([] { return std::vector<char>(100 << 20, 'x').size(); });
  const auto peak = pool.stats().workers.at(0).peak_memory;
  EXPECT_GE(peak, std::size_t{100} << 20);
  EXPECT_LT(peak, std::size_t{2} << 30);
}

TEST(PoolStatsOf, MayBeAskedAtAnyTime) {
  Pool pool(2);
  auto later = pool.map_async(square, std::views::iota(0, 20'000), 1);
  while (!later.ready()) {
    const auto stats = pool.stats();
    ASSERT_EQ(stats.workers.size(), 2u);
    ASSERT_LE(stats.done, 20'000u);
    ASSERT_LE(stats.queued, 20'000u);
    ASSERT_LE(stats.running, 2u);
  }
  EXPECT_EQ(pool.stats().done, 20'000u);
  pool.close();
  (void)pool.stats();
  pool.terminate();
  (void)pool.stats();
  pool.join();
  EXPECT_EQ(pool.stats().done, 20'000u);
}

}  // namespace
}  // namespace procession::pool_test
