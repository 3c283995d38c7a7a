// What the queues' table says, for items of every kind, between threads and processes.
#include "procession/queue.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "procession/memory.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

constexpr ChildStatus success{0, 0};

// Until the process sleeps ('S') or is stopped ('T').
void await_state(pid_t pid, char wanted) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  for (;;) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    const std::size_t at = line.rfind(") ");
    if (at != line.npos && line[at + 2] == wanted) return;
    std::this_thread::yield();
  }
}

struct Point {
  double x, y, z;
  bool operator==(const Point&) const = default;
};

struct Tree {
  std::string name;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};

TEST(QueueTest, GivesItemsOfEveryKindInOrder) {
  const Queue<int> numbers;
  const Queue<Point> points;
  const Queue<std::string> words;
  const Queue<Tree> trees;
  const Queue<std::unique_ptr<int>> pointers;
  const Queue<std::map<std::string, std::vector<int>>> maps;
  for (int i = 0; i < 200; ++i) {  // three rings of them
    numbers.put(i);
    points.put({1.0 * i, 2, 3});
    words.put(std::string(static_cast<std::size_t>(i), 'x'));
    trees.put({"a", {{"b", {}}, {std::to_string(i), {}}}});
    pointers.put(std::make_unique<int>(i));
    maps.put({{"key", {i, i + 1}}});
  }
  EXPECT_EQ(numbers.size(), 200u);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(numbers.get(), i);
    EXPECT_EQ(points.get(), (Point{1.0 * i, 2, 3}));
    EXPECT_EQ(words.get().size(), static_cast<std::size_t>(i));
    EXPECT_EQ(trees.get(), (Tree{"a", {{"b", {}}, {std::to_string(i), {}}}}));
    EXPECT_EQ(*pointers.get(), i);
    EXPECT_EQ(maps.get().at("key"), (std::vector<int>{i, i + 1}));
  }
  EXPECT_TRUE(numbers.empty());
  EXPECT_TRUE(trees.empty());
}

TEST(QueueTest, SaysSoWhenItIsEmpty) {
  const Queue<int> queue(Name{"jobs"});
  EXPECT_EQ(queue.try_get(), std::nullopt);
  const auto start = steady_clock::now();
  EXPECT_EQ(queue.try_get(20ms), std::nullopt);
  EXPECT_GE(steady_clock::now() - start, 20ms);
  EXPECT_THROW(queue.get_nowait(), QueueEmpty);
  EXPECT_THROW(queue.get(-1s), QueueEmpty);
  try {
    queue.get(1ms);
    FAIL();
  } catch (const QueueEmpty& error) {
    EXPECT_NE(std::string(error.what()).find("'jobs'"), std::string::npos);
  }
  EXPECT_EQ(queue.get_many(0), std::vector<int>{});
}

TEST(QueueTest, HoldsNoMoreThanItsSize) {
  for (const std::size_t most : {1u, 2u, 63u, 64u, 65u, 300u}) {
    const Queue<std::size_t> queue(most);
    for (int round = 0; round < 5; ++round) {
      for (std::size_t i = 0; i < most; ++i) {
        EXPECT_FALSE(queue.full());
        EXPECT_EQ(queue.size(), i);
        ASSERT_TRUE(queue.try_put(i));
      }
      EXPECT_TRUE(queue.full());
      EXPECT_FALSE(queue.try_put(most));
      EXPECT_FALSE(queue.put(most, 5ms));
      EXPECT_THROW(queue.put_nowait(most), QueueFull);
      EXPECT_EQ(queue.get(), 0u);
      ASSERT_TRUE(queue.put(most, 1h));
      for (std::size_t i = 1; i <= most; ++i) EXPECT_EQ(queue.get(), i);
      EXPECT_TRUE(queue.empty());
    }
  }
}

TEST(QueueTest, ClosedTakesNothingAndGivesWhatItHas) {
  const Queue<std::string> queue(2);
  queue.put("a");
  queue.put("b");
  queue.close();
  queue.close();
  EXPECT_THROW(queue.put("c"), QueueClosed);
  EXPECT_THROW((void)queue.try_put("c"), QueueClosed);
  EXPECT_THROW(queue.put("c", 1ms), QueueClosed);
  EXPECT_THROW(queue.put_nowait("c"), QueueClosed);
  EXPECT_THROW(queue.put_many(std::vector<std::string>{"c"}), QueueClosed);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.get_many(10), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(queue.empty());
  EXPECT_THROW(queue.get(), QueueClosed);
  EXPECT_THROW(queue.get_nowait(), QueueClosed);
  EXPECT_THROW((void)queue.try_get(), QueueClosed);
  EXPECT_THROW((void)queue.get_many(3), QueueClosed);
  for (const std::string& each : queue) FAIL() << each;
}

TEST(QueueTest, ClosingWakesAllWhoWait) {
  const Queue<int> empty, full(1);
  full.put(1);
  std::vector<Child> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(start_child([&] { EXPECT_THROW(empty.get(), QueueClosed); }));
    waiting.push_back(start_child([&] { EXPECT_THROW(full.put(2), QueueClosed); }));
  }
  for (const Child& each : waiting) await_state(each.pid(), 'S');
  empty.close();
  full.close();
  for (Child& each : waiting) EXPECT_EQ(each.wait(), success);
  EXPECT_EQ(full.get(), 1);
}

TEST(QueueTest, BatchesKeepTheirOrder) {
  const Queue<int> queue;
  EXPECT_EQ(queue.put_many(std::views::iota(0, 1000)), 1000u);
  EXPECT_EQ(queue.put_many(std::vector<int>{}), 0u);
  std::vector<int> all;
  while (all.size() < 1000) {
    const auto some = queue.get_many(37);
    EXPECT_LE(some.size(), 37u);
    all.insert(all.end(), some.begin(), some.end());
  }
  EXPECT_TRUE(std::ranges::equal(all, std::views::iota(0, 1000)));
}

TEST(QueueTest, AnEmptyHandleIsAnErrorAndACopyTheSame) {
  Queue<int> queue;
  const Queue<int> copy = queue, other = std::move(queue);
  EXPECT_THROW(queue.put(1), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW(queue.get(), StateError);
  EXPECT_THROW((void)queue.size(), StateError);
  EXPECT_THROW(queue.close(), StateError);
  copy.put(7);
  EXPECT_EQ(other.get(), 7);
}

TEST(QueueTest, CarriesHandlesAndKeepsThemAlive) {
  const Queue<Queue<int>> queues;
  {
    const Queue<int> inner;
    inner.put(41);
    queues.put(inner);
  }
  const Queue<int> inner = queues.get();
  EXPECT_EQ(inner.get(), 41);
  const Queue<std::pair<Lock, Value<int>>> pairs;
  pairs.put({Lock(), Value<int>(5)});
  EXPECT_EQ(pairs.get().second.load(), 5);
}

// Under every start method, captured and as an argument, through a pool, and by iteration.
TEST(QueueTest, WorksBetweenProcessesOfEveryKind) {
  for (const StartMethod method : get_all_start_methods()) {
    const Queue<std::string> words;
    const Queue<int> lengths;
    ProcessOptions options;
    options.start_method = method;
    Process worker(
        options,
        [words](const Queue<int>& out) {
          for (const std::string& word : words) out.put(static_cast<int>(word.size()));
          out.close();
        },
        lengths);
    worker.start();
    for (const char* word : {"a", "bb", "ccc"}) words.put(word);
    words.close();
    std::vector<int> all;
    for (const int length : lengths) all.push_back(length);
    EXPECT_EQ(all, (std::vector<int>{1, 2, 3}));
    worker.join();
    EXPECT_EQ(worker.exitcode(), 0);
  }
  Pool pool(2);
  const Queue<int> out;
  pool.map([out](int i) { out.put(i); }, std::views::iota(0, 100));
  std::vector<int> all = out.get_many(100);
  std::ranges::sort(all);
  EXPECT_TRUE(std::ranges::equal(all, std::views::iota(0, 100)));
}

// A process may end right after put() with nothing lost, and whoever made the queue may be gone.
TEST(QueueTest, OutlivesItsProducers) {
  const Queue<std::vector<int>> queue;
  for (int i = 0; i < 3; ++i) {
    Child child = start_child([&] { queue.put(std::vector<int>(10'000, i)); });
    EXPECT_EQ(child.wait(), success);
  }
  Child killed = start_child([&] {
    queue.put({42});
    ::kill(::getpid(), SIGKILL);
  });
  (void)killed.wait();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.get(), std::vector<int>(10'000, i));
  EXPECT_EQ(queue.get(), std::vector<int>{42});
}

// Nothing is lost or doubled, and each producer's items come out in its order.
void transfer(std::size_t maxsize, std::size_t producers, std::size_t consumers, long each) {
  const Queue<std::pair<int, long>> queue(maxsize);
  const Queue<long> sums;
  std::vector<Child> children;
  for (std::size_t p = 0; p < producers; ++p) {
    children.push_back(start_child([&, p] {
      for (long i = 0; i < each; ++i) queue.put({static_cast<int>(p), i});
    }));
  }
  std::vector<Child> readers;
  for (std::size_t c = 0; c < consumers; ++c) {
    readers.push_back(start_child([&] {
      std::map<int, long> last;
      long sum = 0;
      for (const auto& [producer, i] : queue) {
        auto [at, fresh] = last.try_emplace(producer, -1);
        EXPECT_GT(i, at->second);
        at->second = i;
        sum += i + 1;
      }
      sums.put(sum);
    }));
  }
  for (Child& child : children) EXPECT_EQ(child.wait(), success);
  queue.close();
  long total = 0;
  for (std::size_t c = 0; c < consumers; ++c) total += sums.get();
  for (Child& reader : readers) EXPECT_EQ(reader.wait(), success);
  EXPECT_EQ(total, static_cast<long>(producers) * each * (each + 1) / 2);
}

TEST(QueueTest, LosesAndDoublesNothing) {
  const long each = test_support::under_tsan || test_support::under_asan ? 2000 : 20'000;
  for (const std::size_t maxsize : {0u, 1u, 7u, 64u}) {
    transfer(maxsize, 1, 1, each);
    transfer(maxsize, 3, 1, each / 3);
    transfer(maxsize, 1, 3, each);
    transfer(maxsize, 3, 3, each / 3);
  }
}

TEST(QueueTest, NeverHoldsMoreThanItsSizeWhileManyPut) {
  const Queue<int> queue(5);
  const Value<int> taken(0);
  const Event stop;
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(start_child([&] {
      while (!stop.is_set()) (void)queue.put(1, 1ms);
    }));
    children.push_back(start_child([&] {
      while (!stop.is_set()) {
        if (queue.try_get(1ms)) taken.fetch_add(1);
      }
    }));
  }
  while (taken.load() < 20'000) ASSERT_LE(queue.size(), 5u);
  stop.set();
  for (Child& child : children) EXPECT_EQ(child.wait(), success);
}

// One that is stopped anywhere in a call keeps nobody waiting.
TEST(QueueTest, AStoppedProcessKeepsNobodyWaiting) {
  for (int round = 0; round < 20; ++round) {
    const Queue<Point> queue(100);
    Child busy = start_child([&] {
      for (;;) {
        queue.put({1, 2, 3});
        (void)queue.get();
      }
    });
    while (queue.empty()) std::this_thread::yield();
    for (int i = 0; i < 1000 + 97 * round; ++i) (void)queue.size();  // anywhere
    busy.kill(SIGSTOP);
    await_state(busy.pid(), 'T');
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(queue.try_put({1.0 * i, 0, 0}));
      ASSERT_TRUE(queue.try_get().has_value());
    }
    busy.kill();
    (void)busy.wait();
  }
}

TEST(QueueTest, GrowsAndGivesItsMemoryBack) {
  const auto use = [] {
    const Queue<std::string> queue;
    for (int i = 0; i < 3000; ++i) queue.put("an item that is left inside");
    for (int i = 0; i < 1000; ++i) (void)queue.get();
  };
  use();
  const auto before = memory_stats();
  for (int i = 0; i < 5; ++i) use();
  EXPECT_LT(memory_stats().blocks, before.blocks + 200);
}

TEST(JoinableQueueTest, IsJoinedWhenAllIsDone) {
  const JoinableQueue<int> queue;
  queue.join();
  EXPECT_THROW(queue.task_done(), StateError);
  for (int i = 0; i < 100; ++i) queue.put(i);
  EXPECT_FALSE(queue.join(1ms));
  const Value<int> done(0);
  std::vector<Child> workers;
  for (int i = 0; i < 3; ++i) {
    workers.push_back(start_child([&] {
      for ([[maybe_unused]] const int item : queue) {
        done.fetch_add(1);
        queue.task_done();
      }
    }));
  }
  queue.join();
  EXPECT_EQ(done.load(), 100);
  queue.put(1);
  queue.join();
  EXPECT_EQ(done.load(), 101);
  EXPECT_THROW(queue.task_done(), StateError);
  queue.close();
  queue.join();
  for (Child& worker : workers) EXPECT_EQ(worker.wait(), success);
}

TEST(SimpleQueueTest, PutsGetsAndCloses) {
  const SimpleQueue<std::string> queue;
  EXPECT_TRUE(queue.empty());
  Process child([](const SimpleQueue<std::string>& mine) { mine.put("from a child"); }, queue);
  child.start();
  EXPECT_EQ(queue.get(), "from a child");
  child.join();
  queue.close();
  EXPECT_THROW(queue.put("x"), QueueClosed);
  EXPECT_THROW(queue.get(), QueueClosed);
}

// Members of aggregates and elements of arrays are made without being named.
TEST(QueueHandles, AreMadeByDefault) {
  struct Shop {
    Queue<int> orders;
    JoinableQueue<std::string> parcels;
    SimpleQueue<double> prices;
    std::array<Value<long>, 2> counts;
  };
  const Shop shop{};
  shop.orders.put(1);
  shop.parcels.put("x");
  shop.prices.put(2.5);
  EXPECT_EQ(shop.counts[0].fetch_add(shop.orders.get()), 0);
  EXPECT_EQ(shop.counts[0].load(), 1);
  EXPECT_EQ(shop.counts[1].load(), 0);
}

}  // namespace
}  // namespace procession
