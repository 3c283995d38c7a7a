// map_reduce: what a fold from left to right gives, wherever it is computed.
#include <rapidcheck.h>

#include <map>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/array.hpp"

namespace procession::pool_test {
namespace {

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::string text_of(int x) { return std::to_string(x) + " "; }
std::string joined(std::string a, const std::string& b) { return std::move(a) + b; }
long plus(long a, long b) { return a + b; }

TEST(PoolReduce, IsTheFoldInInputOrderWhateverTheChunks) {
  Pool pool(2);
  const auto items = numbers(100);
  std::string expected = "begin ";
  for (const int x : items) expected += text_of(x);
  for (const std::size_t chunk : {0, 1, 2, 7, 50, 99, 100, 1000}) {
    EXPECT_EQ(pool.map_reduce(text_of, items, joined, std::string("begin "), chunk), expected)
        << chunk;
  }
  EXPECT_EQ(pool.map_reduce(text_of, items, joined, "begin "), expected);
}

TEST(PoolReduce, OfNothingIsInit) {
  Pool pool(2);
  EXPECT_EQ(pool.map_reduce(square, std::vector<int>{}, plus, 7L), 7);
}

TEST(PoolReduce, HasTheTypeOfInit) {
  Pool pool(2);
  const auto sum = pool.map_reduce([](int x) { return x * 100'000; }, numbers(10'000),
                                   [](long a, long b) { return a + b; }, 0L);
  static_assert(std::is_same_v<decltype(sum), const long>);
  EXPECT_EQ(sum, 49'995'000L * 100'000);
}

TEST(PoolReduce, TakesRangesOfAllKinds) {
  Pool pool(2);
  EXPECT_EQ(pool.map_reduce(square, {1, 2, 3}, plus, 0L), 14);
  EXPECT_EQ(pool.map_reduce(square, std::views::iota(1, 4), plus, 0L), 14);
  EXPECT_EQ(pool.map_reduce(square, Array<int>{1, 2, 3}, plus, 0L), 14);
  EXPECT_EQ(pool.map_reduce_async(square, std::vector<int>{1, 2, 3}, plus, 0L).get(), 14);
}

using Counts = std::map<std::string, int>;

TEST(PoolReduce, CombinesContainers) {
  Pool pool(2);
  const std::vector<std::string> lines{"to be or", "not to be", "that is", "the question"};
  const auto count = [](const std::string& line) {
    Counts counts;
    for (const auto word : std::views::split(line, ' ')) {
      ++counts[std::string(word.begin(), word.end())];
    }
    return counts;
  };
  const auto add_up = [](Counts a, const Counts& b) {
    for (const auto& [word, n] : b) a[word] += n;
    return a;
  };
  const Counts counts = pool.map_reduce(count, lines, add_up, Counts{}, 1);
  EXPECT_EQ(counts, (Counts{{"to", 2},
                            {"be", 2},
                            {"or", 1},
                            {"not", 1},
                            {"that", 1},
                            {"is", 1},
                            {"the", 1},
                            {"question", 1}}));
}

TEST(PoolReduce, ThrowsTheFirstFailure) {
  Pool pool(2);
  const auto fails = [](int x) {
    if (x % 10 == 3) throw std::out_of_range(std::to_string(x));
    return x;
  };
  for (const std::size_t chunk : {1, 4, 25, 100}) {
    const auto error =
        thrown<std::out_of_range>([&] { pool.map_reduce(fails, numbers(100), plus, 0L, chunk); });
    ASSERT_TRUE(error);
    if (chunk == 100) {
      EXPECT_STREQ(error->what(), "3");
    }
  }
  const auto combine = [](long, long) -> long { throw std::domain_error("in combine"); };
  thrown<std::domain_error>([&] { pool.map_reduce(square, numbers(10), combine, 0L, 5); },
                            {"in combine"});
}

TEST(PoolReduce, AnItemThatKillsItsWorkerIsWhatFails) {
  Pool pool(2);
  const auto dies = [](int x) {
    if (x == 13) die(SIGKILL);
    return x;
  };
  const auto death = thrown<WorkerDied>([&] { pool.map_reduce(dies, numbers(40), plus, 0L, 10); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->signal(), SIGKILL);
  EXPECT_EQ(pool.map_reduce(square, {1, 2}, plus, 0L), 5);
}

// The chunk of which the worker died is run again as a whole: nothing is missing, nothing counted
// twice.
TEST(PoolReduce, AnItemWithRetriesIsRunAgainWithItsChunk) {
  PoolOptions options;
  options.processes = 2;
  options.retries = 2;  // both deaths may be of the same item
  Pool pool(options);
  Value<int> deaths(0);
  const auto dies_once = [deaths](int x) {
    if (x % 25 == 13 && deaths.fetch_add(1) < 2) die(SIGKILL);
    return x;
  };
  EXPECT_EQ(pool.map_reduce(dies_once, numbers(100), plus, 1000L, 20), 4950 + 1000);
  EXPECT_GE(deaths.load(), 2);
}

TEST(PoolReduce, SurvivesWorkersThatEndAfterSomeTasks) {
  PoolOptions options;
  options.processes = 2;
  options.max_tasks_per_child = 7;
  Pool pool(options);
  EXPECT_EQ(pool.map_reduce(square, numbers(100), plus, 0L, 10), 328'350);
}

TEST(PoolReduce, OfRandomInputsIsStdReduce) {
  Pool pool(2);
  rc::check("map_reduce is the fold", [&](const std::vector<int>& items, std::uint8_t chunk) {
    const auto affine = [](int x) {
      return std::pair<std::uint32_t, std::uint32_t>{static_cast<std::uint32_t>(x) | 1U,
                                                     static_cast<std::uint32_t>(x) ^ 0x55U};
    };
    // Composition of affine functions: associative, not commutative.
    using Affine = std::pair<std::uint32_t, std::uint32_t>;
    const auto compose = [](Affine f, Affine g) {
      return Affine{f.first * g.first, f.second * g.first + g.second};
    };
    Affine expected{1, 0};
    for (const int x : items) expected = compose(expected, affine(x));
    RC_ASSERT(pool.map_reduce(affine, items, compose, Affine{1, 0}, chunk) == expected);
  });
}

}  // namespace
}  // namespace procession::pool_test
