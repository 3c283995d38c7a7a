// What may be the input of a map: containers, views, move-only items, strings in every form.

#include <array>
#include <list>
#include <map>
#include <memory>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/bind_front.hpp"

namespace procession::pool_test {
namespace {

using Ints = std::vector<int>;

TEST(PoolInputs, EveryContainerOfTheStandardWorks) {
  Pool pool(2);
  int array[] = {1, 2, 3};
  const std::array<int, 3> fixed{1, 2, 3};
  EXPECT_EQ(pool.map(square, array), (Ints{1, 4, 9}));
  EXPECT_EQ(pool.map(square, fixed), (Ints{1, 4, 9}));
  EXPECT_EQ(pool.map(square, std::list<int>{3, 2}), (Ints{9, 4}));
  EXPECT_EQ(pool.map(square, std::set<int>{3, 1, 2}), (Ints{1, 4, 9}));
  EXPECT_EQ(pool.map(square, std::span<const int>(array, 2)), (Ints{1, 4}));
}

TEST(PoolInputs, ViewsWork) {
  Pool pool(2);
  namespace views = std::views;
  EXPECT_EQ(pool.map(square, views::iota(1, 4)), (Ints{1, 4, 9}));
  auto even = views::iota(0, 7) | views::filter([](int x) { return x % 2 == 0; });
  EXPECT_EQ(pool.map(square, even), (Ints{0, 4, 16, 36}));
  const Ints kept{5, 6};
  EXPECT_EQ(pool.map(square, kept | views::reverse), (Ints{36, 25}));
  std::istringstream stream("7 8 9");
  EXPECT_EQ(pool.map(square, views::istream<int>(stream)), (Ints{49, 64, 81}));
}

TEST(PoolInputs, AVectorOfBoolWorks) {
  Pool pool(2);
  const std::vector<bool> items{true, false, true};
  EXPECT_EQ(pool.map([](bool x) { return x ? 1 : 0; }, items), (Ints{1, 0, 1}));
}

int length(const std::string& text) { return static_cast<int>(text.size()); }

TEST(PoolInputs, StringsArriveAsStringsInWhateverForm) {
  Pool pool(2);
  const std::string two_words("a\0b", 3);
  EXPECT_EQ(pool.map(length, {"a", "", "abc"}), (Ints{1, 0, 3}));
  EXPECT_EQ(pool.map(length, std::vector<const char*>{"ab"}), (Ints{2}));
  EXPECT_EQ(pool.map(length, std::vector<std::string_view>{"abc"}), (Ints{3}));
  EXPECT_EQ(pool.map(length, std::vector<std::string>{two_words}), (Ints{3}));
  EXPECT_EQ(pool.map(length, {std::string(100'000, 'x')}), (Ints{100'000}));
  EXPECT_EQ(pool.apply(length, "literal"), 7);
}

std::vector<std::unique_ptr<int>> owned(int count) {
  std::vector<std::unique_ptr<int>> all;
  for (int i = 0; i < count; ++i) all.push_back(std::make_unique<int>(i));
  return all;
}

TEST(PoolInputs, MoveOnlyItemsArriveByReferenceAndByValue) {
  Pool pool(2);
  auto look = [](const std::unique_ptr<int>& item) { return *item; };
  auto take = [](std::unique_ptr<int> item) { return *item; };
  EXPECT_EQ(pool.map(look, owned(4)), (Ints{0, 1, 2, 3}));
  EXPECT_EQ(pool.map(take, owned(4)), (Ints{0, 1, 2, 3}));
  const auto kept = owned(2);
  EXPECT_EQ(pool.map(look, kept), (Ints{0, 1}));
  EXPECT_EQ(*kept[1], 1);
}

TEST(PoolInputs, MoveOnlyItemsStreamToo) {
  Pool pool(2);
  Ints all;
  for (int x : pool.imap([](std::unique_ptr<int> item) { return *item + 1; }, owned(30), 4)) {
    all.push_back(x);
  }
  ASSERT_EQ(all.size(), 30u);
  EXPECT_EQ(all[29], 30);
}

TEST(PoolInputs, MoveOnlyResultsCanBeFetched) {
  Pool pool(2);
  auto make = [](int x) { return std::make_unique<int>(x); };
  const auto all = pool.map(make, {7, 8});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(*all[1], 8);
  EXPECT_EQ(*pool.apply(make, 9), 9);
  EXPECT_EQ(pool.apply([](std::unique_ptr<int> x) { return *x; }, std::make_unique<int>(6)), 6);
}

struct Scale {
  int factor;
  int operator()(int x) const { return x * factor; }
};

TEST(PoolInputs, EveryKindOfFunctionWorks) {
  Pool pool(2);
  int factor = 3;
  EXPECT_EQ(pool.map([](auto x) { return x + 1; }, {1, 2}), (Ints{2, 3}));
  EXPECT_EQ(pool.map([factor](int x) { return x * factor; }, {1, 2}), (Ints{3, 6}));
  EXPECT_EQ(pool.map(Scale{4}, {1, 2}), (Ints{4, 8}));
  EXPECT_EQ(pool.map(procession::bind_front(add, 10), {1, 2}), (Ints{11, 12}));
  EXPECT_EQ(pool.map(&square, {1, 2}), (Ints{1, 4}));
  EXPECT_EQ(pool.map([n = 0](int x) mutable { return x + n++ * 0; }, {1, 2}), (Ints{1, 2}));
}

TEST(PoolInputs, BoundStringsAndVectorsTravel) {
  Pool pool(2);
  const std::string prefix(1000, 'p');
  const auto texts = pool.map(
      procession::bind_front(
          [](const std::string& before, int x) { return before + std::to_string(x); }, prefix),
      {1, 22});
  EXPECT_EQ(texts, (std::vector<std::string>{prefix + "1", prefix + "22"}));
}

TEST(PoolInputs, ResultsMayBeAnyTree) {
  Pool pool(2);
  auto tree = [](int x) {
    return std::map<std::string, std::vector<std::string>>{
        {"key" + std::to_string(x), {static_cast<std::size_t>(x), "item"}}};
  };
  const auto all = pool.map(tree, std::views::iota(0, 50));
  ASSERT_EQ(all.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], tree(i));
}

TEST(PoolInputs, AnInputThatThrowsWhileReadLeavesThePoolUsable) {
  Pool pool(2);
  auto bad = std::views::iota(0, 10) | std::views::transform([](int x) {
               if (x == 5) throw std::domain_error("no five");
               return x;
             });
  EXPECT_THROW(pool.map(square, bad), std::domain_error);
  EXPECT_EQ(pool.map(square, {3}), (Ints{9}));
}

}  // namespace
}  // namespace procession::pool_test
