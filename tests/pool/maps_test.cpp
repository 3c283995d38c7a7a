// map and starmap: every result, in input order, whatever the input is and the function returns.

#include <ranges>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

std::vector<int> numbers(int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(i);
  return all;
}

std::vector<int> squares(int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(i * i);
  return all;
}

// The earlier the item the longer it takes, so that completion order is not input order.
int uneven_square(int x) {
  volatile int turns = (500 - x) * 50;
  while (turns > 0) turns = turns - 1;
  return x * x;
}

TEST(PoolMap, ResultsComeInInputOrderWhateverTheChunks) {
  Pool pool(2);
  const auto items = numbers(500);
  const auto expected = squares(500);
  for (const std::size_t chunk : {0, 1, 2, 7, 250, 499, 500, 501, 100'000}) {
    EXPECT_EQ(pool.map(uneven_square, items, chunk), expected) << chunk;
  }
}

TEST(PoolMap, AChunksizeBeyondThirtyTwoBitsIsOneChunk) {
  Pool pool(2);
  const auto items = numbers(20);
  EXPECT_EQ(pool.map(square, items, std::size_t{1} << 32), squares(20));
  EXPECT_EQ(pool.map(square, items, ~std::size_t{0}), squares(20));
}

TEST(PoolMap, ABracedListIsAnInput) {
  Pool pool(2);
  EXPECT_EQ(pool.map(square, {1, 2, 3, 4, 5}), (std::vector<int>{1, 4, 9, 16, 25}));
  EXPECT_EQ(pool.map(square, {1, 2, 3, 4, 5}, 2), (std::vector<int>{1, 4, 9, 16, 25}));
  EXPECT_EQ(pool.map_async(square, {6, 7}).get(), (std::vector<int>{36, 49}));
}

TEST(PoolMap, AnEmptyInputGivesAnEmptyResult) {
  Pool pool(2);
  EXPECT_TRUE(pool.map(square, std::vector<int>{}).empty());
  EXPECT_TRUE(pool.map(square, std::vector<int>{}, 5).empty());
  EXPECT_TRUE(pool.starmap(add, std::vector<std::tuple<int, int>>{}).empty());
  auto later = pool.map_async(square, std::vector<int>{});
  EXPECT_TRUE(later.get(patience).empty());
  EXPECT_TRUE(later.ready());
  EXPECT_TRUE(later.successful());
}

TEST(PoolMap, AMillionItemsAreEachAnsweredOnce) {
  Pool pool(2);
  const int count = under_sanitizer ? 100'000 : 1'000'000;
  const auto all = pool.map(
      square, std::views::iota(0, count) | std::views::transform([](int x) { return x % 30'000; }));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(all[static_cast<std::size_t>(i)], (i % 30'000) * (i % 30'000)) << i;
  }
}

TEST(PoolMap, AFunctionWithoutResultRunsForEveryItem) {
  Pool pool(2);
  Value<int> sum(0);
  auto count = [sum](int x) { sum.fetch_add(x); };
  static_assert(std::is_void_v<decltype(pool.map(count, std::vector<int>{}))>);
  pool.map(count, numbers(101));
  EXPECT_EQ(sum.load(), 5050);
  auto later = pool.map_async(count, numbers(101), 3);
  later.get();
  EXPECT_TRUE(later.successful());
  EXPECT_EQ(sum.load(), 2 * 5050);
}

TEST(PoolMap, ResultsThatAreBoolMakeAVectorOfBool) {
  Pool pool(2);
  auto all = pool.map([](int x) { return x % 3 == 0; }, numbers(100));
  static_assert(std::is_same_v<decltype(all), std::vector<bool>>);
  ASSERT_EQ(all.size(), 100u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i % 3 == 0) << i;
}

const std::string constant(int x) { return std::to_string(x); }
const std::string& reference(int x) {
  static std::string kept;
  kept = std::string(static_cast<std::size_t>(x), 'x');
  return kept;
}
int& number_reference(int x) {
  static int kept;
  return kept = -x;
}

TEST(PoolMap, ReferencesAndConstResultsAreDecayed) {
  Pool pool(2);
  auto constants = pool.map(constant, {1, 2});
  static_assert(std::is_same_v<decltype(constants), std::vector<std::string>>);
  EXPECT_EQ(constants, (std::vector<std::string>{"1", "2"}));
  auto texts = pool.map(reference, {1, 0, 3});
  static_assert(std::is_same_v<decltype(texts), std::vector<std::string>>);
  EXPECT_EQ(texts, (std::vector<std::string>{"x", "", "xxx"}));
  EXPECT_EQ(pool.map(number_reference, {1, 2, 3}), (std::vector<int>{-1, -2, -3}));
  EXPECT_EQ(pool.apply(reference, 2), "xx");
  static_assert(std::is_same_v<decltype(pool.apply(reference, 2)), std::string>);
}

TEST(PoolStarmap, TuplesAreSpreadOverTheArguments) {
  Pool pool(2);
  const std::vector<std::tuple<std::string, int, char>> items{{"ab", 2, '!'}, {"", 0, '?'}};
  const auto texts = pool.starmap(
      [](std::string text, int times, char end) {
        std::string all;
        for (int i = 0; i < times; ++i) all += text;
        return all + end;
      },
      items, 1);
  EXPECT_EQ(texts, (std::vector<std::string>{"abab!", "?"}));
}

TEST(PoolStarmap, OrderIsInputOrder) {
  Pool pool(2);
  std::vector<std::tuple<int, int>> items;
  std::vector<int> expected;
  for (int i = 0; i < 1000; ++i) {
    items.emplace_back(i, 2 * i);
    expected.push_back(3 * i);
  }
  for (const std::size_t chunk : {0, 1, 13}) EXPECT_EQ(pool.starmap(add, items, chunk), expected);
}

TEST(PoolMap, SeveralAtOnceDoNotMix) {
  Pool pool(2);
  std::vector<AsyncResult<std::vector<int>>> later;
  for (int i = 0; i < 20; ++i) {
    later.push_back(pool.map_async([i](int x) { return x + i * 1000; }, numbers(100), 3));
  }
  for (int i = 19; i >= 0; --i) {
    const auto all = later[static_cast<std::size_t>(i)].get();
    ASSERT_EQ(all.size(), 100u);
    for (int x = 0; x < 100; ++x) EXPECT_EQ(all[static_cast<std::size_t>(x)], x + i * 1000);
  }
}

TEST(PoolMap, TheWorkIsSharedOut) {
  Pool pool(2);
  Value<int> here(0);
  // Each of the two waits until the other is there too, which takes two workers.
  const auto pids = pool.map(
      [here](int) {
        here.fetch_add(1);
        while (here.load() < 2) std::this_thread::yield();
        return own_pid();
      },
      {1, 2}, 1);
  EXPECT_NE(pids[0], pids[1]);
  EXPECT_NE(pids[0], own_pid());
}

}  // namespace
}  // namespace procession::pool_test
