// then() and co_await: called once each, on one thread of the library's own, whatever becomes of
// the call, the worker and the pool.
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

int fail(int x) { throw std::out_of_range("no " + std::to_string(x)); }
void nothing() {}

// The value that a callback gave, or the exception.
template <class R>
std::future<R> told(AsyncResult<R> result) {
  auto promise = std::make_shared<std::promise<R>>();
  result.then([promise](R value) { promise->set_value(std::move(value)); },
              [promise](std::exception_ptr error) { promise->set_exception(error); });
  return promise->get_future();
}

template <class R>
R soon(std::future<R> future) {
  if (future.wait_for(patience) != std::future_status::ready) {
    throw std::runtime_error("the callback was not called");
  }
  return future.get();
}

TEST(PoolCallbacks, GetTheValueOrTheException) {
  Pool pool(2);
  EXPECT_EQ(soon(told(pool.apply_async(square, 7))), 49);
  EXPECT_THROW(soon(told(pool.apply_async(fail, 7))), std::out_of_range);
  EXPECT_EQ(soon(told(pool.map_async(square, std::vector<int>{1, 2, 3}))),
            (std::vector<int>{1, 4, 9}));
  const auto death = thrown<WorkerDied>([&] {
    soon(told(pool.apply_async(
        [](int x) {
          die(SIGKILL);
          return x;
        },
        1)));
  });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->signal(), SIGKILL);
}

TEST(PoolCallbacks, TakeTheirArgumentAsTheyLike) {
  Pool pool(1);
  auto result = pool.apply_async([] { return std::string("value"); });
  std::atomic<int> called{0};
  std::promise<void> last;
  result.then([&](const std::string& text) { called += text == "value"; })
      .then([&](std::string text) { called += text == "value"; })
      .then([&](std::string&& text) { called += text == "value"; })
      .then([&](std::string& text) { called += text == "value"; })
      .then(nullptr)
      .then({}, [](std::exception_ptr) {})
      .then([own = std::make_unique<int>(1), &called](std::string) { called += *own; })
      .then([&](const auto&) { last.set_value(); });
  soon(last.get_future());
  EXPECT_EQ(called, 5);
}

TEST(PoolCallbacks, OfErrorsTakeAnExceptionOrAPointerToIt) {
  Pool pool(1);
  auto failing = pool.apply_async(fail, 3);
  std::promise<std::string> text;
  failing.then({}, [&](const std::exception& error) { text.set_value(error.what()); });
  EXPECT_EQ(soon(text.get_future()), "no 3");
  failing.then([](int) { ADD_FAILURE() << "there is no value"; });
}

TEST(PoolCallbacks, OfACallWithoutAResultTakeNothing) {
  Pool pool(1);
  std::promise<void> done;
  pool.apply_async(nothing).then([&] { done.set_value(); });
  soon(done.get_future());
}

TEST(PoolCallbacks, AreCalledOnceAlsoWhenTheResultWasReady) {
  Pool pool(1);
  auto result = pool.apply_async(square, 3);
  EXPECT_EQ(result.get(), 9);
  std::atomic<int> called{0};
  for (int i = 0; i < 10; ++i) result.then([&](int nine) { called += nine == 9; });
  pool.close();
  pool.join();
  EXPECT_EQ(called, 10);
}

TEST(PoolCallbacks, RunOneAfterTheOtherOnAThreadOfTheLibrary) {
  Pool one(2), other(1);
  std::mutex mutex;
  std::vector<std::thread::id> threads;
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  const auto note = [&](int) {
    if (inside.fetch_add(1) != 0) together = true;
    const std::lock_guard guard(mutex);
    threads.push_back(std::this_thread::get_id());
    --inside;
  };
  for (int i = 0; i < 100; ++i) {
    one.apply_async(square, i).then(note);
    other.apply_async(square, i).then(note);
  }
  one.close();
  other.close();
  one.join();
  other.join();
  ASSERT_EQ(threads.size(), 200U);
  EXPECT_THAT(threads, ::testing::Each(threads.front()));
  EXPECT_NE(threads.front(), std::this_thread::get_id());
  EXPECT_FALSE(together);
}

TEST(PoolCallbacks, ThatThrowHarmNobody) {
  Pool pool(1);
  pool.apply_async(square, 1).then([](int) { throw std::runtime_error("in a callback"); });
  pool.apply_async(square, 1).then([](int) { throw 5; });
  pool.apply_async(fail, 1).then({},
                                 [](std::exception_ptr error) { std::rethrow_exception(error); });
  EXPECT_EQ(soon(told(pool.apply_async(square, 2))), 4);
}

TEST(PoolCallbacks, MayUseThePoolAndWaitForIt) {
  Pool pool(1);
  std::promise<int> sum;
  pool.apply_async(square, 2).then([&](int four) { sum.set_value(pool.apply(square, four)); });
  EXPECT_EQ(soon(sum.get_future()), 16);
}

// A callback that blocks keeps other callbacks waiting, and nothing else: a worker that dies
// meanwhile is replaced.
TEST(PoolCallbacks, ThatBlockKeepNobodyFromHearingOfADeath) {
  Pool pool(1);
  std::promise<void> begun, go_on;
  pool.apply_async(square, 1).then([&](int) {
    begun.set_value();
    go_on.get_future().wait();
  });
  soon(begun.get_future());
  EXPECT_THROW(pool.apply(die, SIGKILL), WorkerDied);
  EXPECT_EQ(pool.apply_async(square, 5).get(patience), 25);
  go_on.set_value();
}

TEST(PoolCallbacks, HearOfTheEndOfThePool) {
  std::atomic<int> values{0}, ends{0};
  {
    Event running, gate;
    Pool pool(1);
    auto one = pool.apply_async(hold, 1, running, gate);
    running.wait();
    const auto count = [&](std::exception_ptr error) {
      try {
        std::rethrow_exception(error);
      } catch (const PoolClosed&) {
        ++ends;
      } catch (...) {
      }
    };
    one.then([&](int) { ++values; }, count);
    for (int i = 0; i < 5; ++i) pool.apply_async(square, i).then([&](int) { ++values; }, count);
  }
  EXPECT_EQ(values, 0);
  EXPECT_EQ(ends, 6);
}

TEST(PoolCallbacks, HearOfACancelledCall) {
  Event running, gate;
  Pool pool(1);
  auto held = pool.apply_async(hold, 1, running, gate);
  auto queued = pool.apply_async(square, 1);
  running.wait();
  auto first = told(held), second = told(queued);
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(held.cancel());
  EXPECT_THROW(soon(std::move(first)), TaskCancelled);
  EXPECT_THROW(soon(std::move(second)), TaskCancelled);
}

TEST(PoolCallbacks, JoinReturnsWhenTheyHaveReturned) {
  std::atomic<int> returned{0};
  Pool pool(2);
  for (int i = 0; i < 500; ++i) pool.apply_async(square, i).then([&](int) { ++returned; });
  pool.close();
  pool.join();
  EXPECT_EQ(returned, 500);
}

TEST(PoolCallbacks, JoinWithATimeDoesNotWaitLonger) {
  Pool pool(1);
  std::promise<void> go_on;
  auto gate = go_on.get_future().share();
  pool.apply_async(square, 1).then([gate](int) { gate.wait(); });
  pool.close();
  EXPECT_FALSE(pool.join(50ms));
  go_on.set_value();
  EXPECT_TRUE(pool.join(patience));
}

TEST(PoolCallbacks, MayEndThePool) {
  std::promise<void> ended;
  auto pool = std::make_unique<Pool>(1);
  auto result = pool->apply_async(square, 1);
  result.then([&, mine = std::move(pool)](int) mutable {
    mine.reset();
    ended.set_value();
  });
  soon(ended.get_future());
}

// --- co_await ------------------------------------------------------------------------------

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached sum_of_squares(Pool& pool, int n, std::promise<int>& sum) {
  int all = 0;
  for (int i = 1; i <= n; ++i) all += co_await pool.apply_async(square, i);
  sum.set_value(all);
}

Detached failing(Pool& pool, std::promise<std::string>& text) {
  try {
    co_await pool.apply_async(fail, 4);
    text.set_value("nothing");
  } catch (const std::out_of_range& error) {
    text.set_value(error.what());
  }
}

Detached lengths(Pool& pool, std::promise<std::vector<int>>& all) {
  const std::vector<int> items{1, 2, 3};
  co_await pool.apply_async(nothing);
  all.set_value(co_await pool.map_async(square, items));
}

TEST(PoolCoroutines, AwaitResults) {
  Pool pool(2);
  std::promise<int> sum;
  sum_of_squares(pool, 50, sum);
  EXPECT_EQ(soon(sum.get_future()), 50 * 51 * 101 / 6);
  std::promise<std::string> text;
  failing(pool, text);
  EXPECT_EQ(soon(text.get_future()), "no 4");
  std::promise<std::vector<int>> all;
  lengths(pool, all);
  EXPECT_EQ(soon(all.get_future()), (std::vector<int>{1, 4, 9}));
}

TEST(PoolCoroutines, GoOnAtOnceWithWhatIsReady) {
  Pool pool(1);
  auto result = pool.apply_async(square, 3);
  result.wait();
  std::thread::id resumed_on;
  const auto await = [&](AsyncResult<int> ready) -> Detached {
    EXPECT_EQ(co_await ready, 9);
    resumed_on = std::this_thread::get_id();
  };
  await(result);
  EXPECT_EQ(resumed_on, std::this_thread::get_id());
}

}  // namespace
}  // namespace procession::pool_test
