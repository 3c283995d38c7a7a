// Which call comes next: the most urgent one, and among equals each thread's in its turn.
#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/array.hpp"

namespace procession::pool_test {
namespace {

// One worker, which is held; what it does afterwards, in order.
class PoolOrder : public ::testing::Test {
 protected:
  void TearDown() override { gate.set(); }
  void hold_worker() {
    running.clear();
    gate.clear();
    held_call.emplace(pool.apply_async(hold, 0, running, gate));
    running.wait();
  }
  static void note(int what, Array<int> order, Value<int> next) {
    order[static_cast<std::size_t>(next.fetch_add(1))] = what;
  }
  AsyncResult<void> noted(int what, int priority = 0) {
    return pool.with({.priority = priority}).apply_async(&note, what, order, next);
  }
  std::vector<int> order_of(std::size_t count) {
    return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  Event running, gate;
  Pool pool{1};
  Array<int> order = Array<int>(5000);
  Value<int> next{0};
  std::optional<AsyncResult<int>> held_call;
};

TEST_F(PoolOrder, OfOneThreadIsTheOrderOfItsCalls) {
  hold_worker();
  std::vector<AsyncResult<void>> calls;
  std::vector<int> expected;
  for (int i = 0; i < 1000; ++i) {
    calls.push_back(noted(i));
    expected.push_back(i);
  }
  gate.set();
  for (auto& call : calls) call.get();
  EXPECT_EQ(order_of(1000), expected);
}

TEST_F(PoolOrder, TheMostUrgentComesFirst) {
  hold_worker();
  std::vector<AsyncResult<void>> calls;
  std::vector<int> expected;
  for (int round = 0; round < 3; ++round) {
    for (const int priority : {0, -5, 7, 1'000'000, 3, -2'000'000'000, 7}) {
      calls.push_back(noted(priority, priority));
      expected.push_back(priority);
    }
  }
  std::ranges::sort(expected, std::greater());
  gate.set();
  for (auto& call : calls) call.get();
  EXPECT_EQ(order_of(expected.size()), expected);
}

// More of them than the table of lanes has room for in the beginning.
TEST_F(PoolOrder, ThereCanBeAnyNumberOfPriorities) {
  hold_worker();
  std::vector<AsyncResult<void>> calls;
  for (int i = 0; i < 300; ++i) calls.push_back(noted(i * 37 % 300, i * 37 % 300));
  gate.set();
  for (auto& call : calls) call.get();
  std::vector<int> expected;
  for (int i = 299; i >= 0; --i) expected.push_back(i);
  EXPECT_EQ(order_of(300), expected);
}

TEST_F(PoolOrder, AnUrgentCallDoesNotWaitForTheRestOfAMap) {
  hold_worker();
  const auto body = [order = order, next = next](int x) { note(x, order, next); };
  auto map = pool.map_async(body, std::vector<int>(100, 1), 1);
  auto urgent = noted(2, 1);
  gate.set();
  urgent.get();
  map.get();
  EXPECT_EQ(order_of(1).front(), 2);
}

TEST_F(PoolOrder, PriorityIsKeptByWhatIsRunAgain) {
  hold_worker();
  Value<int> deaths(0);
  const auto dies_once = [deaths](int what, const Array<int>& into, const Value<int>& at) {
    if (deaths.fetch_add(1) == 0) die(SIGKILL);
    note(what, into, at);
  };
  auto first = pool.with({.retries = 1, .priority = 9}).apply_async(dies_once, 9, order, next);
  auto low = noted(1, 1);
  auto middle = noted(5, 5);
  gate.set();
  first.get();
  low.get();
  middle.get();
  EXPECT_EQ(order_of(3), (std::vector<int>{9, 5, 1}));
}

// A thread with ten calls among threads with a thousand is not served last.
TEST_F(PoolOrder, ThreadsAreServedInTurn) {
  hold_worker();
  constexpr int busy = 3;
  std::latch submitted(busy);
  std::vector<std::jthread> threads;
  for (int t = 0; t < busy; ++t) {
    threads.emplace_back([&, t] {
      std::vector<AsyncResult<void>> calls;
      for (int i = 0; i < 1000; ++i) calls.push_back(noted(t));
      submitted.count_down();
      for (auto& call : calls) call.get();
    });
  }
  submitted.wait();
  std::vector<AsyncResult<void>> mine;
  for (int i = 0; i < 10; ++i) mine.push_back(noted(busy));
  gate.set();
  for (auto& call : mine) call.get();
  threads.clear();
  const auto all = order_of(3010);
  const auto last = std::find(all.rbegin(), all.rend(), busy).base() - all.begin();
  EXPECT_LE(last, 10 * (busy + 1));
  for (int t = 0; t <= busy; ++t) {
    EXPECT_EQ(std::ranges::count(all, t), t == busy ? 10 : 1000) << t;
  }
}

TEST_F(PoolOrder, ALongMapOfOneThreadDoesNotHoldUpAnother) {
  hold_worker();
  auto map = pool.map_async([order = order, next = next](int x) { note(x, order, next); },
                            std::vector<int>(1000, 0), 1);
  std::jthread other([&] {
    auto call = noted(1);
    gate.set();
    call.get();
  });
  other.join();
  map.get();
  const auto all = order_of(1001);
  EXPECT_LE(std::ranges::find(all, 1) - all.begin(), 2);
}

// While calls are short one worker does them all. Then come two that need each other at the same
// time: the second is not left behind the first.
TEST(PoolPace, ALongCallAfterManyShortOnesHoldsUpNobody) {
  Pool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<AsyncResult<int>> calls;
    for (int i = 0; i < 3000; ++i) calls.push_back(pool.apply_async(square, i));
    for (int i = 0; i < 3000; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), i * i);
    Event first, second;
    const auto meet = [](const Event& mine, const Event& other) {
      mine.set();
      other.wait();
    };
    auto one = pool.apply_async(meet, first, second);
    auto other = pool.apply_async(meet, second, first);
    EXPECT_TRUE(one.wait(patience));
    EXPECT_TRUE(other.wait(patience));
  }
}

// The same when the long ones are in the middle, and nothing more is submitted or waited for.
TEST(PoolPace, NothingThatIsQueuedIsForgotten) {
  Pool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<AsyncResult<int>> calls;
    for (int i = 0; i < 2000; ++i) calls.push_back(pool.apply_async(square, i));
    Event gate, a, b;
    auto held_calls =
        std::vector{pool.apply_async(hold, 1, a, gate), pool.apply_async(hold, 2, b, gate)};
    Value<int> last(0);
    auto behind = pool.apply_async([last] { last.store(7); });
    EXPECT_TRUE(eventually([&] { return last.load() == 7; }))
        << "a worker sleeps, and a call waits";
    gate.set();
    for (auto& call : held_calls) call.get();
  }
}

// --- an Array as the input ---------------------------------------------------------------------

TEST(PoolArray, IsReadWhereItIs) {
  Event running, gate;
  Pool pool(1);
  Array<int> items{1, 2, 3};
  auto held_call = pool.apply_async(hold, 0, running, gate);
  running.wait();
  auto squares = pool.map_async(square, items);
  items[1] = 10;  // the worker has not read it yet
  gate.set();
  EXPECT_EQ(squares.get(), (std::vector<int>{1, 100, 9}));
}

TEST(PoolArray, LivesAsLongAsTheCall) {
  Event running, gate;
  Pool pool(1);
  auto held_call = pool.apply_async(hold, 0, running, gate);
  running.wait();
  std::optional<AsyncResult<std::vector<int>>> squares;
  {
    auto items = Array<int>::from(std::views::iota(0, 1000));
    squares.emplace(pool.map_async(square, items, 10));
  }
  const Array<int> noise(100'000);
  std::ranges::fill(noise, -1);
  gate.set();
  const auto all = squares->get();
  ASSERT_EQ(all.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i * i);
}

struct alignas(16) Point {
  double x, y;
};

TEST(PoolArray, OfStructsIsAnInputLikeAnyOther) {
  Pool pool(2);
  Array<Point> points(100);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {1.0 * static_cast<double>(i), 2};
  const auto sums = pool.map([](const Point& p) { return p.x + p.y; }, points, 7);
  ASSERT_EQ(sums.size(), 100U);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(sums[i], static_cast<double>(i) + 2);
  EXPECT_TRUE(pool.map(square, Array<int>(0)).empty());
}

TEST(PoolStarmap, TakesBracedLists) {
  Pool pool(2);
  EXPECT_EQ(pool.starmap(add, {{1, 2}, {3, 4}}), (std::vector<int>{3, 7}));
  EXPECT_EQ(pool.starmap([](int x, const std::string& text) { return text + std::to_string(x); },
                         {{1, "a"}, {2, "b"}}),
            (std::vector<std::string>{"a1", "b2"}));
  EXPECT_EQ(pool.starmap_async(add, {{1, 1}}, 1).get(), (std::vector<int>{2}));
  EXPECT_EQ(pool.starmap(add, {std::pair{1, 2}, std::pair{5, 5}}), (std::vector<int>{3, 10}));
  EXPECT_EQ(pool.starmap(add, std::vector<std::array<int, 2>>{{1, 2}, {3, 3}}),
            (std::vector<int>{3, 6}));
}

}  // namespace
}  // namespace procession::pool_test
