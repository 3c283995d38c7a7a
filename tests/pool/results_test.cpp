// AsyncResult: waited for, looked at, cancelled, dropped, outliving its pool.

#include <atomic>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/memory.hpp"

namespace procession::pool_test {
namespace {

class PoolResults : public ::testing::Test {
 protected:
  Event running, gate;
  Pool pool{1};
  AsyncResult<int> begin_held(int x = 5) {
    auto later = pool.apply_async(hold, x, running, gate);
    running.wait();
    return later;
  }
};

TEST_F(PoolResults, ThatAreNotReadySaySo) {
  auto later = begin_held();
  EXPECT_FALSE(later.ready());
  thrown<StateError>([&] { (void)later.successful(); });
  EXPECT_FALSE(later.wait(0s));
  EXPECT_FALSE(later.wait(-1s));
  EXPECT_FALSE(later.wait(20ms));
  gate.set();
  EXPECT_TRUE(later.wait(patience));
  EXPECT_TRUE(later.ready());
  EXPECT_TRUE(later.successful());
}

TEST_F(PoolResults, CanBeAskedAgainAfterATimeout) {
  auto later = begin_held();
  thrown<TimeoutError>([&] { later.get(0s); });
  thrown<TimeoutError>([&] { later.get(30ms); });
  const auto waited = time_of([&] { EXPECT_THROW(later.get(0.1s), TimeoutError); });
  EXPECT_GE(waited, 100ms);
  gate.set();
  EXPECT_EQ(later.get(patience), 5);
  EXPECT_EQ(later.get(0s), 5);
  EXPECT_EQ(later.get(), 5);
}

TEST_F(PoolResults, TheLongestDurationIsForEver) {
  auto later = begin_held();
  std::thread opener([this] {
    std::this_thread::sleep_for(100ms);
    gate.set();
  });
  EXPECT_TRUE(later.wait(std::chrono::hours::max()));
  opener.join();
  EXPECT_EQ(later.get(std::chrono::nanoseconds::max()), 5);
  EXPECT_EQ(later.get(std::chrono::hours::max()), 5);
}

TEST_F(PoolResults, CopiesAndThreadsShareOneCall) {
  auto later = begin_held();
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&sum, copy = later]() mutable { sum += copy.get(); });
  gate.set();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, 20);
}

TEST_F(PoolResults, AQueuedCallThatIsCancelledNeverRuns) {
  Value<int> ran(0);
  auto first = begin_held();
  auto second = pool.apply_async([ran] { ran.fetch_add(1); });
  EXPECT_TRUE(second.cancel());
  EXPECT_TRUE(second.wait(patience));
  thrown<TaskCancelled>([&] { second.get(); });
  EXPECT_FALSE(second.successful());
  EXPECT_FALSE(first.ready());
  gate.set();
  EXPECT_EQ(first.get(patience), 5);
  pool.apply(square, 1);
  EXPECT_EQ(ran.load(), 0);
  EXPECT_EQ(pool.stats().cancelled, 1u);
}

TEST_F(PoolResults, ARunningCallThatIsCancelledIsKilled) {
  auto first = begin_held();
  const auto workers = watch_workers(pool);
  EXPECT_TRUE(first.cancel());
  EXPECT_TRUE(first.wait(patience));
  thrown<TaskCancelled>([&] { first.get(); });
  for (const Watched& worker : workers) EXPECT_TRUE(worker.ends());
  EXPECT_EQ(pool.apply_async(square, 3).get(patience), 9);
}

TEST_F(PoolResults, ACancelledCallIsNotRetried) {
  Pool retrying({.processes = 1, .retries = 5});
  Value<int> attempts(0);
  Event began, never;
  auto later = retrying.apply_async([attempts, began, never] {
    attempts.fetch_add(1);
    began.set();
    never.wait();
  });
  began.wait();
  EXPECT_TRUE(later.cancel());
  thrown<TaskCancelled>([&] { later.get(patience); });
  EXPECT_EQ(retrying.apply_async(square, 3).get(patience), 9);
  EXPECT_EQ(attempts.load(), 1);
}

TEST_F(PoolResults, WhatIsReadyCannotBeCancelled) {
  auto later = pool.apply_async(square, 3);
  later.wait();
  EXPECT_FALSE(later.cancel());
  EXPECT_EQ(later.get(), 9);
  auto failed = pool.apply_async([] { throw std::runtime_error("no"); });
  failed.wait();
  EXPECT_FALSE(failed.cancel());
  EXPECT_THROW(failed.get(), std::runtime_error);
}

TEST_F(PoolResults, CancellingTwiceChangesNothing) {
  auto later = begin_held();
  EXPECT_TRUE(later.cancel());
  later.wait();
  EXPECT_FALSE(later.cancel());
  thrown<TaskCancelled>([&] { later.get(); });
}

TEST_F(PoolResults, AMapCanBeCancelledHalfDone) {
  Value<int> ran(0);
  auto later = pool.map_async(
      [ran, began = running, never = gate](int x) {
        ran.fetch_add(1);
        if (x == 10) {
          began.set();
          never.wait();
        }
        return x;
      },
      std::views::iota(0, 1000), 1);
  running.wait();
  EXPECT_TRUE(later.cancel());
  thrown<TaskCancelled>([&] { later.get(patience); });
  EXPECT_EQ(pool.apply_async(square, 3).get(patience), 9);
  EXPECT_EQ(ran.load(), 11);
}

TEST_F(PoolResults, CancellingAgainstTheEndIsOneOrTheOther) {
  Pool two(2);
  for (int i = 0; i < 300; ++i) {
    Event nearly_done;
    auto later = two.apply_async(
        [nearly_done](int x) {
          nearly_done.set();
          return x;
        },
        i);
    if (i % 2 == 0) nearly_done.wait();
    if (later.cancel()) {
      EXPECT_THROW(later.get(patience), TaskCancelled) << i;
    } else {
      EXPECT_EQ(later.get(patience), i);
    }
  }
  EXPECT_EQ(two.map(square, {1, 2}), (std::vector<int>{1, 4}));
}

TEST_F(PoolResults, CancellingOneCallLeavesTheOthersAlone) {
  Pool two(2);
  std::vector<AsyncResult<int>> all;
  for (int i = 0; i < 300; ++i) all.push_back(two.apply_async(square, i));
  std::vector<bool> cancelled;
  for (std::size_t i = 0; i < all.size(); ++i) cancelled.push_back(i % 3 == 0 && all[i].cancel());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int x = static_cast<int>(i);
    if (cancelled[i]) {
      EXPECT_THROW(all[i].get(patience), TaskCancelled);
    } else {
      EXPECT_EQ(all[i].get(patience), x * x);
    }
  }
}

TEST_F(PoolResults, StayAfterThePoolIsGone) {
  std::optional<AsyncResult<std::string>> text;
  std::optional<AsyncResult<std::vector<int>>> numbers;
  std::optional<AsyncResult<void>> error;
  {
    Pool brief(2);
    text = brief.apply_async([](int x) { return std::string(1000, 'x') + std::to_string(x); }, 7);
    numbers = brief.map_async(square, {1, 2, 3});
    error = brief.apply_async([] { throw std::out_of_range("late"); });
    text->wait();
    numbers->wait();
    error->wait();
  }
  EXPECT_EQ(text->get(), std::string(1000, 'x') + "7");
  EXPECT_EQ(numbers->get(), (std::vector<int>{1, 4, 9}));
  EXPECT_THROW(error->get(), std::out_of_range);
  EXPECT_FALSE(text->cancel());
}

TEST_F(PoolResults, ThatThePoolDidNotGetToAreClosed) {
  std::optional<AsyncResult<int>> first, second;
  {
    Pool brief(1);
    first = brief.apply_async(hold, 1, running, gate);
    second = brief.apply_async(square, 2);
    running.wait();
  }
  EXPECT_TRUE(first->ready());
  thrown<PoolClosed>([&] { first->get(patience); });
  thrown<PoolClosed>([&] { second->get(patience); });
  EXPECT_FALSE(second->successful());
  EXPECT_FALSE(second->cancel());
}

// The last of its calls is done when nothing is queued and nothing runs.
void let_run_dry(const Pool& pool) {
  EXPECT_TRUE(eventually([&] {
    const PoolStats stats = pool.stats();
    return stats.queued == 0 && stats.running == 0;
  }));
}

const int many_calls = under_sanitizer ? 10'000 : 100'000;

TEST_F(PoolResults, DroppedBeforeTheyAreDoneLeaveNothingInUse) {
  const auto drop = [](int calls) {
    Pool two(2);
    for (int i = 0; i < calls; ++i) (void)two.apply_async(add, i, 1);
    let_run_dry(two);
  };
  drop(many_calls / 10);
  const auto before = memory_stats();
  drop(many_calls);
  const auto after = memory_stats();
  EXPECT_LT(after.in_use, before.in_use + (2u << 20));
  EXPECT_LT(after.blocks, before.blocks + 500);
}

TEST_F(PoolResults, ManyAtOnceNeedTheSameMemoryEachTime) {
  Pool two(2);
  const auto burst = [&two] {
    std::vector<AsyncResult<int>> all;
    for (int i = 0; i < many_calls / 10; ++i) all.push_back(two.apply_async(add, i, 1));
    for (int i = 0; i < many_calls / 10; ++i) {
      ASSERT_EQ(all[static_cast<std::size_t>(i)].get(), i + 1);
    }
  };
  for (int round = 0; round < 3; ++round) burst();
  const auto before = memory_stats();
  for (int round = 0; round < 10; ++round) burst();
  const auto after = memory_stats();
  EXPECT_LT(after.in_use, before.in_use + (2u << 20));
  EXPECT_LT(after.reserved, before.reserved + (4u << 20));
}

TEST_F(PoolResults, FetchedOnesLeaveNoMemory) {
  Pool two(2);
  const std::string text(10'000, 'x');
  const auto use = [&](int calls) {
    for (int i = 0; i < calls; ++i) (void)two.apply([](std::string it) { return it + "y"; }, text);
  };
  use(200);
  const auto before = memory_stats().in_use;
  use(2000);
  EXPECT_LT(memory_stats().in_use, before + (1u << 20));
}

}  // namespace
}  // namespace procession::pool_test
