// Each option of a pool, and of its views.

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/detail/progress.hpp"
#include "procession/process.hpp"

namespace procession::pool_test {
namespace {

namespace views = std::views;
using Ints = std::vector<int>;

TEST(PoolOptionsOf, ProcessesSaysHowMany) {
  EXPECT_EQ(Pool().processes(), static_cast<std::size_t>(usable_cpu_count()));
  Pool pool(3);
  EXPECT_EQ(pool.processes(), 3u);
  EXPECT_EQ(pool.stats().workers.size(), 3u);
  EXPECT_EQ(Pool(PoolOptions{.processes = 1}).processes(), 1u);
}

TEST(PoolOptionsOf, ManyMoreWorkersThanProcessors) {
  Pool pool(16);
  EXPECT_EQ(pool.map(square, views::iota(0, 200), 1).size(), 200u);
}

pid_t pid_for(int) { return own_pid(); }

TEST(PoolMaxTasks, AWorkerRunsThatManyCallsAndIsReplaced) {
  Pool pool({.processes = 1, .max_tasks_per_child = 3});
  std::map<pid_t, int> calls;
  for (int i = 0; i < 12; ++i) ++calls[pool.apply_async(own_pid).get(patience)];
  EXPECT_EQ(calls.size(), 4u);
  for (const auto& [pid, count] : calls) EXPECT_LE(count, 3) << pid;
}

TEST(PoolMaxTasks, ACallIsACallInAChunkToo) {
  Pool pool({.processes = 1, .max_tasks_per_child = 3});
  std::map<pid_t, int> calls;
  for (const pid_t pid : pool.map_async(pid_for, views::iota(0, 12), 12).get(patience))
    ++calls[pid];
  EXPECT_GE(calls.size(), 4u);
  for (const auto& [pid, count] : calls) EXPECT_LE(count, 3) << pid;
}

TEST(PoolMaxTasks, NoCallIsLostOrRunTwice) {
  Pool pool({.processes = 2, .max_tasks_per_child = 1});
  Value<int> ran(0);
  const auto all = pool.map_async(
                           [ran](int x) {
                             ran.fetch_add(1);
                             return x * x;
                           },
                           views::iota(0, 60), 4)
                       .get(patience);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(all.at(static_cast<std::size_t>(i)), i * i);
  EXPECT_EQ(ran.load(), 60);
}

void wait_for_ever(Event never) { never.wait(); }

TEST(PoolTimeout, AnOverdueCallCostsItsWorker) {
  Pool pool({.processes = 2, .task_timeout = 300ms});
  Event never;
  auto later = pool.apply_async(wait_for_ever, never);
  std::optional<WorkerDied> death;
  const auto spent = time_of([&] { death = thrown<WorkerDied>([&] { later.get(patience); }); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->reason(), DeathReason::Timeout);
  EXPECT_EQ(death->attempts(), 1);
  EXPECT_GE(spent, 250ms);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(PoolTimeout, ABusyLoopIsEndedToo) {
  Pool pool({.processes = 1, .task_timeout = 300ms});
  const auto death = thrown<WorkerDied>([&] {
    pool.apply_async([] {
          for (volatile bool on = true; on;) {
          }
        })
        .get(patience);
  });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->reason(), DeathReason::Timeout);
}

TEST(PoolTimeout, IsForACallAndNotForItsChunk) {
  Pool pool({.processes = 1, .task_timeout = 2s});
  auto slow = [](int x) {
    ::usleep(300'000);
    return x;
  };
  EXPECT_EQ(pool.map(slow, views::iota(0, 10), 10).size(), 10u);
}

TEST(PoolTimeout, DoesNotRunWhileACallIsQueued) {
  Pool pool({.processes = 1, .task_timeout = 1s});
  std::vector<AsyncResult<int>> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(pool.apply_async(
        [](int x) {
          ::usleep(400'000);
          return x;
        },
        i));
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(patience), i);
}

TEST(PoolTimeout, CostsItsElementAlone) {
  Pool pool({.processes = 1, .task_timeout = 400ms});
  Event never;
  auto range = pool.imap(
      [never](int x) {
        if (x == 2) never.wait();
        return x;
      },
      {0, 1, 2, 3, 4}, 5);
  for (int x = 0; x < 5; ++x) {
    if (x == 2) {
      EXPECT_THROW(range.next(patience), WorkerDied);
    } else {
      EXPECT_EQ(range.next(patience), x);
    }
  }
}

TEST(PoolTimeout, AViewHasItsOwn) {
  Pool pool(2);
  Event never;
  const auto death = thrown<WorkerDied>(
      [&] { pool.with({.timeout = 200ms}).apply_async(wait_for_ever, never).get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->reason(), DeathReason::Timeout);
  Pool hasty({.processes = 1, .task_timeout = 100ms});
  EXPECT_EQ(hasty.with({.timeout = 20s})
                .apply(
                    [](int x) {
                      ::usleep(400'000);
                      return x;
                    },
                    4),
            4);
}

TEST(PoolTimeout, AnOverdueCallIsRetriedLikeAnyOther) {
  Pool pool({.processes = 1, .task_timeout = 200ms, .retries = 1});
  Value<int> attempts(0);
  Event never;
  auto slow_at_first = [attempts, never] {
    if (attempts.fetch_add(1) == 0) never.wait();
    return 5;
  };
  EXPECT_EQ(pool.apply_async(slow_at_first).get(patience), 5);
  const auto death =
      thrown<WorkerDied>([&] { pool.apply_async(wait_for_ever, never).get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->attempts(), 2);
}

TEST(PoolMaxPending, SubmittingBlocksUntilThereIsRoom) {
  Pool pool({.processes = 1, .max_pending = 3});
  Event running, gate;
  std::vector<AsyncResult<int>> all;
  all.push_back(pool.apply_async(hold, 0, running, gate));
  running.wait();
  std::atomic<int> submitted{1};
  std::thread submitter([&] {
    for (int i = 1; i < 10; ++i) {
      all.push_back(pool.apply_async(square, i));
      ++submitted;
    }
  });
  EXPECT_TRUE(eventually([&] { return submitted >= 3; }));
  std::this_thread::sleep_for(200ms);  // nothing may happen in it
  EXPECT_LE(submitted, 4);
  gate.set();
  submitter.join();
  for (int i = 1; i < 10; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get(patience), i * i);
}

TEST(PoolMaxPending, AMapWorksWithTheSmallestBound) {
  Pool pool({.processes = 2, .max_pending = 1});
  EXPECT_EQ(pool.map_async(square, views::iota(0, 100), 1).get(patience).size(), 100u);
}

TEST(PoolMaxPending, AnImapWorksWithTheSmallestBound) {
  Pool pool({.processes = 2, .max_pending = 1});
  int count = 0;
  for (auto range = pool.imap(square, views::iota(0, 100)); range.next(patience);) ++count;
  EXPECT_EQ(count, 100);
  count = 0;
  for (auto range = pool.imap_unordered(square, views::iota(0, 100)); range.next(patience);)
    ++count;
  EXPECT_EQ(count, 100);
}

TEST(PoolMaxPending, TerminateFreesTheSubmitter) {
  Pool pool({.processes = 1, .max_pending = 1});
  Event running, gate;
  auto first = pool.apply_async(hold, 0, running, gate);
  running.wait();
  std::atomic<bool> closed{false};
  std::thread submitter([&] {
    try {
      pool.apply_async(square, 2).get();
    } catch (const PoolClosed&) {
      closed = true;
    }
  });
  std::this_thread::sleep_for(50ms);  // so that it blocks, mostly; it must hold either way
  pool.terminate();
  submitter.join();
  EXPECT_TRUE(closed);
}

TEST(PoolMemoryLimit, AnExcessCostsItsWorker) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have memory of their own";
  Pool pool({.processes = 2, .memory_limit = std::size_t{128} << 20});
  Event never;
  auto later = pool.apply_async(
      [](std::size_t bytes, Event end) {
        std::vector<std::vector<char>> all;
        for (std::size_t had = 0; had < bytes; had += 1 << 20) all.emplace_back(1 << 20, 'x');
        end.wait();
        return all.size();
      },
      std::size_t{512} << 20, never);
  const auto death = thrown<WorkerDied>([&] { later.get(patience); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->reason(), DeathReason::MemoryLimit);
  EXPECT_EQ(pool.map(square, {1, 2, 3}), (Ints{1, 4, 9}));
}

TEST(PoolMemoryLimit, WithinItNothingHappens) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have memory of their own";
  Pool pool({.processes = 1, .memory_limit = std::size_t{256} << 20});
  EXPECT_EQ(pool.apply([] { return std::vector<char>(64 << 20, 'x').size(); }), 64u << 20);
}

TEST(PoolOptionsOf, LimitsAreEnforcedInTheWorkers) {
  PoolOptions options{.processes = 1};
  options.limits.core_dump = 0;
  options.limits.open_files = 77;
  Pool pool(options);
  const auto files = pool.apply([] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<int>(limit.rlim_cur);
  });
  EXPECT_EQ(files, 77);
}

TEST(PoolOptionsOf, PinnedWorkersHaveOneProcessorEach) {
  Pool pool({.processes = 2, .pin_cpus = true});
  const auto counts = pool.map(
      [](int) {
        cpu_set_t cpus;
        ::sched_getaffinity(0, sizeof cpus, &cpus);
        return CPU_COUNT(&cpus);
      },
      views::iota(0, 20), 1);
  EXPECT_EQ(counts, Ints(20, 1));
}

TEST(PoolOptionsOf, EverySpinGivesTheSameResults) {
  for (const auto spin : {0ns, 1ns, 1'000'000ns}) {
    Pool pool({.processes = 2, .spin = spin});
    for (int i = 0; i < 50; ++i) EXPECT_EQ(pool.apply(square, i), i * i);
    EXPECT_EQ(pool.map(square, {1, 2, 3}, 1), (Ints{1, 4, 9}));
  }
}

TEST(PoolOptionsOf, ANameAndAProgressBarChangeNoResult) {
  Pool pool({.processes = 2, .name = "sums", .progress = true});
  EXPECT_EQ(pool.map(square, {1, 2, 3}), (Ints{1, 4, 9}));
  int count = 0;
  for (int x : pool.imap_unordered(square, views::iota(0, 30))) count += x >= 0;
  EXPECT_EQ(count, 30);
}

TEST(PoolOptionsOf, TheProgressBarSaysHowFarAtWhatRateAndHowLong) {
  using detail::Progress;
  EXPECT_EQ(Progress::text(250, 1000, 2500ms),
            "[##########..............................] 250/1000, 100 per second, 0:08 left");
  EXPECT_EQ(Progress::text(1, 36'001, 1s),
            "[........................................] 1/36001, 1.0 per second, 10:00:00 left");
  EXPECT_EQ(Progress::text(1000, 1000, 10s),
            "[" + std::string(40, '#') + "] 1000/1000, 100 per second");
  EXPECT_EQ(Progress::text(7, 0, 2s), "7, 3.5 per second");
  EXPECT_EQ(Progress::text(0, 10, 0s), "[" + std::string(40, '.') + "] 0/10, 0.0 per second");
}

// stderr is a terminal of our own: what was written there is read at its other end. Helpers of the
// library may keep it open, so there is no end of file.
TEST(PoolOptionsOf, AProgressBarIsDrawnOnATerminalAndRemoved) {
  const int outer = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  ASSERT_GE(outer, 0);
  ASSERT_EQ(::grantpt(outer) | ::unlockpt(outer), 0);
  const int inner = ::open(::ptsname(outer), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(inner, 0);
  const int stderr_before = ::dup(STDERR_FILENO);
  ::dup2(inner, STDERR_FILENO);
  {
    Pool pool({.processes = 2, .progress = true});
    const auto slow = [](int x) {
      std::this_thread::sleep_for(10ms);
      return x;
    };
    EXPECT_EQ(pool.map(slow, views::iota(0, 60), 1).size(), 60U);
    for (int x : pool.imap(slow, views::iota(0, 60), 1)) EXPECT_GE(x, 0);
  }
  ::dup2(stderr_before, STDERR_FILENO);
  ::close(stderr_before);
  ::close(inner);
  std::string text;
  std::array<char, 4096> some;
  for (ssize_t got = 0; (got = ::read(outer, some.data(), some.size())) > 0;) {
    text.append(some.data(), static_cast<std::size_t>(got));
  }
  ::close(outer);
  EXPECT_THAT(text, ::testing::ContainsRegex("/60, [0-9]+ per second, 0:00 left"));
  EXPECT_THAT(text, ::testing::EndsWith("\r\x1b[K"));
}

TEST(PoolOptionsOf, AViewIsAsGoodAsThePool) {
  Pool pool(2);
  const auto view = pool.with({.name = "view"});
  EXPECT_EQ(view.map(square, {1, 2}), (Ints{1, 4}));
  EXPECT_EQ(view.apply(square, 3), 9);
  EXPECT_EQ(view.imap(square, {4}).next(), 16);
}

}  // namespace
}  // namespace procession::pool_test
