// Workers killed all the time, at any point of what they do: every result still comes, exactly.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/memory.hpp"

namespace procession::pool_test {
namespace {

// Kills a worker of the pool every few milliseconds.
class Killer {
 public:
  explicit Killer(const Pool& pool) : pool_(pool), thread_([this] { run(); }) {}
  ~Killer() { stop(); }
  int stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return killed_;
  }

 private:
  void run() {
    std::minstd_rand random(1);
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 4000));
      const auto pids = victims();
      if (pids.empty()) continue;
      const pid_t pid = pids[random() % pids.size()];
      const Watched worker(pid);
      // Still a worker: then the descriptor names it, and not a process that got its number.
      if (!std::ranges::count(worker_pids(pool_), pid)) continue;
      worker.kill(SIGKILL);
      ++killed_;
    }
  }
  // Under a sanitizer a start takes longer than what lies between two kills: a pool none of whose
  // workers gets ready in a hundred starts gives up, and is right to.
  std::vector<pid_t> victims() const {
    if (!under_sanitizer) return worker_pids(pool_);
    std::vector<pid_t> ready;
    for (const WorkerStats& worker : pool_.stats().workers) {
      if (worker.pid > 0 && worker.startup.count() > 0) ready.push_back(worker.pid);
    }
    return ready;
  }

  const Pool& pool_;
  std::atomic<bool> stop_{false};
  int killed_ = 0;
  std::thread thread_;
};

// About 100 us.
int work(int x) {
  volatile int turns = 50'000;
  while (turns > 0) turns = turns - 1;
  return x * 3;
}

std::string text_work(int x) { return std::string(static_cast<std::size_t>(work(x) % 3000), 'x'); }

const int items = under_sanitizer ? 1000 : 5000;

TEST(PoolChaos, MapIsExact) {
  Pool pool({.processes = 2, .retries = 100'000});
  Killer killer(pool);
  const auto all = pool.map(work, std::views::iota(0, items), 10);
  EXPECT_GT(killer.stop(), 5);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(items));
  for (int i = 0; i < items; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)], i * 3) << i;
}

TEST(PoolChaos, ImapUnorderedIsExact) {
  Pool pool({.processes = 2, .retries = 100'000});
  Killer killer(pool);
  std::vector<int> all;
  auto range = pool.imap_unordered(work, std::views::iota(0, items), 3);
  while (const auto next = range.next(patience)) all.push_back(*next);
  EXPECT_GT(killer.stop(), 5);
  std::ranges::sort(all);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(items));
  for (int i = 0; i < items; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)], i * 3) << i;
}

TEST(PoolChaos, ImapOfTextsIsExactAndLeavesNoMemory) {
  Pool pool({.processes = 2, .retries = 100'000});
  text_work(1);
  const auto before = memory_stats().in_use;
  Killer killer(pool);
  int expected = 0;
  auto range = pool.imap(text_work, std::views::iota(0, items), 2);
  while (const auto text = range.next(patience)) {
    ASSERT_EQ(*text, std::string(static_cast<std::size_t>(expected * 3 % 3000), 'x'));
    ++expected;
  }
  EXPECT_EQ(expected, items);
  EXPECT_GT(killer.stop(), 5);
  pool.apply(square, 1);
  EXPECT_LT(memory_stats().in_use, before + (8u << 20));
}

TEST(PoolChaos, WithoutRetriesEveryCallIsAnsweredOrDied) {
  Pool pool(2);
  Killer killer(pool);
  std::vector<AsyncResult<int>> all;
  for (int i = 0; i < items; ++i) all.push_back(pool.apply_async(work, i));
  int died = 0;
  for (int i = 0; i < items; ++i) {
    try {
      ASSERT_EQ(all[static_cast<std::size_t>(i)].get(patience), i * 3);
    } catch (const WorkerDied& death) {
      EXPECT_EQ(death.signal(), SIGKILL);
      ++died;
    }
  }
  const int killed = killer.stop();
  EXPECT_GT(died, 0);
  EXPECT_LE(died, killed);
}

// Between the end of a call and the telling of it too.
TEST(PoolChaos, CallbacksComeOnceEach) {
  std::vector<std::atomic<int>> told(static_cast<std::size_t>(items));
  {
    Pool pool({.processes = 2, .retries = 100'000});
    Killer killer(pool);
    for (int i = 0; i < items; ++i) {
      auto& own = told[static_cast<std::size_t>(i)];
      pool.apply_async(work, i).then([&own, i](int y) { own += y == i * 3 ? 1 : 1000; },
                                     [&own](std::exception_ptr) { own += 1000; });
    }
    pool.close();
    EXPECT_TRUE(pool.join(patience * 3));
    EXPECT_GT(killer.stop(), 5);
  }
  for (int i = 0; i < items; ++i) EXPECT_EQ(told[static_cast<std::size_t>(i)], 1) << i;
}

TEST(PoolChaos, MapReduceIsExact) {
  Pool pool({.processes = 2, .retries = 100'000});
  Killer killer(pool);
  const long sum = pool.map_reduce(work, std::views::iota(0, items), std::plus<long>(), 0L, 5);
  EXPECT_GT(killer.stop(), 5);
  EXPECT_EQ(sum, 3L * items * (items - 1) / 2);
}

TEST(PoolChaos, CancellingAndTerminatingHangsNobody) {
  for (int round = 0; round < 5; ++round) {
    Pool pool({.processes = 2, .retries = 3});
    Killer killer(pool);
    std::vector<AsyncResult<int>> all;
    for (int i = 0; i < 200; ++i) all.push_back(pool.apply_async(work, i));
    for (std::size_t i = 0; i < all.size(); i += 7) (void)all[i].cancel();
    for (int i = 0; i < 100; ++i) {
      try {
        EXPECT_EQ(all[static_cast<std::size_t>(i)].get(patience), i * 3);
      } catch (const WorkerDied&) {
      } catch (const TaskCancelled&) {
        EXPECT_EQ(i % 7, 0);
      }
    }
    EXPECT_LT(time_of([&] { pool.terminate(); }), promptly);
    killer.stop();
    for (auto& result : all) EXPECT_TRUE(result.wait(patience));
  }
}

}  // namespace
}  // namespace procession::pool_test
