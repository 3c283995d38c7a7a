// A range like any other, whose elements are everybody's.
#include "procession/array.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <numeric>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "procession/errors.hpp"
#include "procession/memory.hpp"
#include "procession/process.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

static_assert(std::ranges::contiguous_range<const Array<int>>);
static_assert(std::ranges::sized_range<const Array<int>>);
static_assert(std::ranges::common_range<const Array<double>>);
static_assert(std::is_same_v<decltype(std::declval<const Array<int>&>()[0]), int&>);

struct alignas(32) Pixel {
  float r = 1, g = 1, b = 1;
  bool operator==(const Pixel&) const = default;
};

TEST(ArrayTest, IsMadeOfANumberAListOrARange) {
  EXPECT_TRUE(std::ranges::equal(Array<int>(3), std::vector{0, 0, 0}));
  EXPECT_TRUE(std::ranges::equal(Array<int>{3}, std::vector{3}));
  EXPECT_TRUE(std::ranges::equal(Array<int>{2, 3, 5}, std::vector{2, 3, 5}));
  EXPECT_TRUE(std::ranges::equal(Array<long>::from(std::views::iota(0, 5)),
                                 std::vector<long>{0, 1, 2, 3, 4}));
  std::istringstream words("1 2 3");  // a range that can be read once
  EXPECT_TRUE(
      std::ranges::equal(Array<int>::from(std::views::istream<int>(words)), std::vector{1, 2, 3}));
  EXPECT_TRUE(std::ranges::equal(Array<Pixel>(2), std::vector<Pixel>(2)));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Array<Pixel>(2).data()) % 32, 0u);
  EXPECT_TRUE(Array<int>(0).empty());
  EXPECT_TRUE(Array<int>::from(std::vector<int>{}).empty());
}

TEST(ArrayTest, WorksWithAlgorithmsSpansAndViews) {
  const Array<int> array{5, 3, 4, 1, 2};
  std::ranges::sort(array);
  EXPECT_TRUE(std::ranges::equal(array, std::views::iota(1, 6)));
  EXPECT_EQ(std::accumulate(array.begin(), array.end(), 0), 15);
  for (int& x : array) x *= 2;
  const std::span<int> middle = array.span().subspan(1, 3);
  EXPECT_EQ(middle.back(), 8);
  EXPECT_EQ(std::ranges::max(array | std::views::take(2)), 4);
  EXPECT_EQ(array.front() + array.back() + array[2], 2 + 10 + 6);
  EXPECT_EQ(array.at(4), 10);
  EXPECT_EQ(array.size(), 5u);
}

TEST(ArrayTest, ChecksWhereItIsAskedTo) {
  const Array<int> array(3, Name{"field"});
  try {
    (void)array.at(3);
    FAIL();
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "at(3) of array 'field', which has 3 elements, numbered from 0");
  }
  EXPECT_THROW(Array<int>(std::size_t{1} << 62), OutOfMemory);
  EXPECT_THROW(Array<int>(~std::size_t{0}), OutOfMemory);
  Array<int> moved = array;
  const Array<int> other = std::move(moved);
  EXPECT_THROW((void)moved.size(), StateError);  // NOLINT(bugprone-use-after-move)
  EXPECT_THROW((void)moved[0], StateError);
  EXPECT_THROW((void)moved.get_lock(), StateError);
}

TEST(ArrayTest, IsTheSameInEveryProcess) {
  for (const StartMethod method : get_all_start_methods()) {
    const Array<long> array(100'000);
    ProcessOptions options;
    options.start_method = method;
    Process writer(
        options,
        [array](const Array<long>& argument) {
          for (std::size_t i = 0; i < array.size(); ++i) array[i] = static_cast<long>(i);
          if (argument.data() != array.data()) ::_exit(3);
        },
        array);
    writer.start();
    writer.join();
    EXPECT_EQ(writer.exitcode(), 0);
    EXPECT_TRUE(std::ranges::equal(array, std::views::iota(0L, 100'000L)));
  }
}

TEST(ArrayTest, ChangesUnderItsLockAreWhole) {
  const Array<int> pair{0, 0};
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(start_child([&] {
      for (int n = 0; n < 300; ++n) {
        pair.with_lock([](std::span<int> both) {
          EXPECT_EQ(both[0], both[1]);
          ++both[0];
          sched_yield();
          ++both[1];
        });
      }
    }));
  }
  for (Child& child : children) EXPECT_EQ(child.wait(), (ChildStatus{0, 0}));
  EXPECT_EQ(pair.with_lock([](std::span<int> both) { return both[0] + both[1]; }), 1800);
  Child killed =
      start_child([&] { pair.with_lock([](std::span<int>) { ::kill(::getpid(), SIGKILL); }); });
  (void)killed.wait();
  EXPECT_THROW(pair.with_lock([](std::span<int>) {}), OwnerDied);
  EXPECT_TRUE(pair.get_lock().recover());
  pair.get_lock().release();
}

TEST(ArrayTest, NothingIsLeftOfOne) {
  const auto use = [] { const Array<double> array(50'000); };
  use();
  const auto before = memory_stats();
  for (int i = 0; i < 50; ++i) use();
  EXPECT_LT(memory_stats().in_use, before.in_use + 1'000'000);
}

}  // namespace
}  // namespace procession
