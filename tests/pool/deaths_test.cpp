// A worker that dies costs exactly the call that it was running.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/memory.hpp"

namespace procession::pool_test {
namespace {

TEST(PoolDeaths, AKilledWorkerIsReportedWithEverythingAboutIt) {
  Pool pool(2);
  Value<pid_t> pid(0);
  Event running, never;
  auto later = pool.apply_async(hold_as, 1, pid, running, never);
  running.wait();
  ::kill(pid.load(), SIGKILL);
  const auto death = thrown<WorkerDied>([&] { later.get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->pid(), pid.load());
  EXPECT_EQ(death->signal(), SIGKILL);
  EXPECT_EQ(death->exitcode(), -SIGKILL);
  EXPECT_EQ(death->reason(), DeathReason::Signal);
  EXPECT_EQ(death->attempts(), 1);
  EXPECT_THAT(death->what(), ::testing::HasSubstr(std::to_string(pid.load())));
  EXPECT_FALSE(later.successful());
  EXPECT_EQ(pool.map(square, {1, 2, 3}), (std::vector<int>{1, 4, 9}));
}

TEST(PoolDeaths, AWorkerThatExitsIsReportedWithItsCode) {
  Pool pool(2);
  for (const int code : {0, 3, 255}) {
    const auto death = thrown<WorkerDied>(
        [&] { pool.apply_async([](int number) { std::exit(number); }, code).get(patience); });
    ASSERT_TRUE(death);
    EXPECT_EQ(death->reason(), DeathReason::Exit);
    EXPECT_EQ(death->exitcode(), code);
    EXPECT_EQ(death->signal(), 0);
  }
  const auto death =
      thrown<WorkerDied>([&] { pool.apply_async([] { ::_exit(4); }).get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->exitcode(), 4);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(PoolDeaths, AThreadOfATaskMayExitTheWorker) {
  Pool pool(1);
  const auto death = thrown<WorkerDied>(
      [&] { pool.apply_async([] { std::thread([] { std::exit(6); }).join(); }).get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->exitcode(), 6);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(PoolDeaths, ACrashIsReportedWithItsSignal) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers report it";
  PoolOptions quiet{.processes = 2};
  quiet.limits.core_dump = 0;
  Pool pool(quiet);
  const auto aborted = thrown<WorkerDied>([&] { pool.apply([] { std::abort(); }); });
  ASSERT_TRUE(aborted);
  EXPECT_EQ(aborted->signal(), SIGABRT);
  const auto crashed = thrown<WorkerDied>([&] {
    pool.apply([](std::size_t address) { *reinterpret_cast<volatile int*>(address) = 1; },
               std::size_t{16});
  });
  ASSERT_TRUE(crashed);
  EXPECT_EQ(crashed->signal(), SIGSEGV);
  EXPECT_EQ(crashed->reason(), DeathReason::Signal);
  const auto terminated =
      thrown<WorkerDied>([&] { pool.apply([]() noexcept { std::stoi("no number"); }); });
  ASSERT_TRUE(terminated);
  EXPECT_EQ(terminated->signal(), SIGABRT);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

int recurse(int depth) {
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : recurse(depth + 1) + page[0];
}

TEST(PoolDeaths, AnOverflownStackIsASignal) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers report it";
  PoolOptions quiet{.processes = 1};
  quiet.limits.core_dump = 0;
  Pool pool(quiet);
  const auto death = thrown<WorkerDied>([&] { pool.apply(recurse, 1); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->signal(), SIGSEGV);
}

// Nor does the pool give up: it is not the program's code that ended them.
TEST(PoolDeaths, WorkersThatAreKilledAsSoonAsTheyAreThereAreReplaced) {
  Pool pool(1);
  pid_t last = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(eventually([&] {
      const auto pids = worker_pids(pool);
      if (pids.empty() || pids.front() == last || pids.front() <= 0) return false;
      last = pids.front();
      return true;
    }));
    ::kill(last, SIGKILL);
  }
  EXPECT_EQ(pool.apply_async(square, 7).get(patience), 49);
}

TEST(PoolDeaths, NobodyNoticesThatIdleWorkersAreKilled) {
  Pool pool(3);
  pool.map(square, {1, 2, 3, 4, 5, 6}, 1);
  for (int round = 0; round < 5; ++round) {
    for (const Watched& worker : watch_workers(pool)) worker.kill(SIGKILL);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.apply_async(square, i).get(patience), i * i);
  }
}

TEST(PoolDeaths, WorkersKilledTogetherAreAllReplaced) {
  Pool pool(2);
  for (int round = 0; round < 5; ++round) {
    // A replacement may be at work before it is in the figures.
    ASSERT_TRUE(eventually([&] { return worker_pids(pool).size() == 2; }));
    const auto workers = watch_workers(pool);
    for (const Watched& worker : workers) worker.kill(SIGKILL);
    for (const Watched& worker : workers) EXPECT_TRUE(worker.ends());
    Value<int> here(0);
    // Both are there at the same time.
    auto later = pool.map_async(
        [here](int x) {
          here.fetch_add(1);
          while (here.load() < 2) std::this_thread::yield();
          return x;
        },
        {1, 2}, 1);
    EXPECT_EQ(later.get(patience), (std::vector<int>{1, 2}));
  }
}

TEST(PoolDeaths, AStoppedWorkerIsNotDead) {
  Pool pool(1);
  Value<pid_t> pid(0);
  Event running, gate;
  auto later = pool.apply_async(hold_as, 5, pid, running, gate);
  running.wait();
  ::kill(pid.load(), SIGSTOP);
  gate.set();
  EXPECT_THROW(later.get(300ms), TimeoutError);
  ::kill(pid.load(), SIGCONT);
  EXPECT_EQ(later.get(patience), 5);
}

// Dies in its first attempts.
int die_at_first(int attempts_that_die, Value<int> attempts) {
  if (attempts.fetch_add(1) < attempts_that_die) ::raise(SIGKILL);
  return 7;
}

TEST(PoolRetries, ADeadCallIsRunAgain) {
  Pool pool({.processes = 2, .retries = 2});
  Value<int> attempts(0);
  EXPECT_EQ(pool.apply(die_at_first, 2, attempts), 7);
  EXPECT_EQ(attempts.load(), 3);
  EXPECT_EQ(pool.stats().retried, 2u);
}

TEST(PoolRetries, TheLastDeathIsReportedWithTheNumberOfAttempts) {
  Pool pool({.processes = 2, .retries = 2});
  Value<int> attempts(0);
  const auto death = thrown<WorkerDied>([&] { pool.apply(die_at_first, 1000, attempts); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->attempts(), 3);
  EXPECT_EQ(attempts.load(), 3);
}

TEST(PoolRetries, AViewHasItsOwn) {
  Pool pool(1);
  Value<int> attempts(0);
  EXPECT_EQ(pool.with({.retries = 1}).apply(die_at_first, 1, attempts), 7);
  Pool patient({.processes = 1, .retries = 5});
  const auto death =
      thrown<WorkerDied>([&] { patient.with({.retries = 0}).apply(die_at_first, 1000, attempts); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->attempts(), 1);
}

TEST(PoolRetries, EachElementOfAMapHasItsOwn) {
  Pool pool({.processes = 2, .retries = 1});
  std::vector<Value<int>> attempts(20);
  const auto all = pool.map([](Value<int> count) { return die_at_first(1, count); }, attempts, 5);
  EXPECT_EQ(all, std::vector<int>(20, 7));
  for (const auto& count : attempts) EXPECT_EQ(count.load(), 2);
}

int die_at_four(int x) {
  if (x == 4) ::raise(SIGKILL);
  return x * 10;
}

TEST(PoolDeaths, CostTheirElementAndNotTheirChunk) {
  Pool pool(2);
  auto results = pool.imap(die_at_four, std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}, 8);
  for (int x = 0; x < 8; ++x) {
    if (x == 4) {
      const auto death = thrown<WorkerDied>([&] { results.next(patience); });
      ASSERT_TRUE(death);
      EXPECT_EQ(death->attempts(), 1);
    } else {
      EXPECT_EQ(results.next(patience), x * 10);
    }
  }
  EXPECT_EQ(results.next(), std::nullopt);
}

TEST(PoolDeaths, ElementsDoneBeforeAreNotRunAgain) {
  Pool pool({.processes = 1, .retries = 3});
  Value<int> attempts(0);
  std::vector<Value<int>> runs(10);
  std::vector<std::tuple<int, Value<int>>> items;
  for (int i = 0; i < 10; ++i) items.emplace_back(i, runs[static_cast<std::size_t>(i)]);
  pool.starmap(
      [attempts](int x, Value<int> run) {
        run.fetch_add(1);
        if (x == 6) die_at_first(2, attempts);
      },
      items, 10);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(runs[i].load(), i == 6 ? 3 : 1) << i;
}

TEST(PoolDeaths, AMapThrowsTheDeathOfItsElement) {
  Pool pool(2);
  const auto death = thrown<WorkerDied>([&] { pool.map(die_at_four, {0, 1, 2, 3, 4, 5, 6, 7}); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->signal(), SIGKILL);
}

TEST(PoolDeaths, OtherCallsAreNotAffected) {
  Pool pool(2);
  std::vector<AsyncResult<int>> good;
  std::vector<AsyncResult<void>> bad;
  for (int i = 0; i < 100; ++i) {
    good.push_back(pool.apply_async(square, i));
    if (i % 10 == 5) bad.push_back(pool.apply_async(die, SIGKILL));
  }
  for (auto& result : bad) EXPECT_THROW(result.get(patience), WorkerDied);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(good[static_cast<std::size_t>(i)].get(patience), i * i);
  }
}

TEST(PoolDeaths, TheNameOfTheTaskIsInTheReport) {
  Pool pool(1);
  thrown<WorkerDied>([&] { pool.with({.name = "nightly-sum"}).apply(die, SIGKILL); },
                     {"nightly-sum"});
}

TEST(PoolDeaths, GiveBackWhatTheTaskHeld) {
  Pool pool(1);
  const std::string big(1 << 20, 'x');
  auto keep_and_die = [](std::string text) {
    if (!text.empty()) ::raise(SIGKILL);
    return text;
  };
  const auto lose = [&](int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_THROW(pool.apply(keep_and_die, big), WorkerDied);
    }
  };
  lose(3);
  const auto before = memory_stats().in_use;
  lose(20);
  pool.apply(square, 1);
  EXPECT_LT(memory_stats().in_use, before + (5u << 20));
}

}  // namespace
}  // namespace procession::pool_test
