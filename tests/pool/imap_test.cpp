// imap and imap_unordered: results as they come, read lazily, each exactly once.

#include <algorithm>
#include <optional>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

namespace views = std::views;
using Ints = std::vector<int>;

static_assert(std::ranges::input_range<ResultRange<int>>);
static_assert(!std::is_copy_constructible_v<ResultRange<int>>);
static_assert(std::is_move_constructible_v<ResultRange<int>>);

template <class R>
std::vector<R> all_of(ResultRange<R> range) {
  std::vector<R> all;
  while (auto next = range.next(patience)) all.push_back(std::move(*next));
  return all;
}

Ints squares(int count) {
  Ints all;
  for (int i = 0; i < count; ++i) all.push_back(i * i);
  return all;
}

TEST(PoolImap, ResultsComeInInputOrderWhateverTheChunks) {
  Pool pool(2);
  for (const std::size_t chunk : {1, 2, 7, 500, 1000}) {
    EXPECT_EQ(all_of(pool.imap(square, views::iota(0, 500), chunk)), squares(500)) << chunk;
  }
}

TEST(PoolImap, TheUnorderedHasEveryResultOnce) {
  Pool pool(2);
  for (const std::size_t chunk : {1, 7, 1000}) {
    auto all = all_of(pool.imap_unordered(square, views::iota(0, 500), chunk));
    std::ranges::sort(all);
    EXPECT_EQ(all, squares(500)) << chunk;
  }
}

TEST(PoolImap, AChunksizeBeyondTheInputIsOneChunk) {
  Pool pool(2);
  EXPECT_EQ(all_of(pool.imap(square, views::iota(0, 20), 1000)), squares(20));
  EXPECT_EQ(all_of(pool.imap(square, views::iota(0, 20), 0)), squares(20));
}

TEST(PoolImap, ARangeForReadsToTheEnd) {
  Pool pool(2);
  Ints all;
  for (int x : pool.imap(square, {1, 2, 3})) all.push_back(x);
  EXPECT_EQ(all, (Ints{1, 4, 9}));
  int sum = 0;
  for (int x : pool.imap_unordered(square, {1, 2, 3})) sum += x;
  EXPECT_EQ(sum, 14);
}

TEST(PoolImap, ItIsAnInputRangeForTheAlgorithms) {
  Pool pool(2);
  auto range = pool.imap(square, views::iota(0, 10));
  Ints even;
  for (int x : range | views::filter([](int y) { return y % 2 == 0; })) even.push_back(x);
  EXPECT_EQ(even, (Ints{0, 4, 16, 36, 64}));
}

TEST(PoolImap, AnEmptyInputEndsAtOnce) {
  Pool pool(2);
  EXPECT_EQ(pool.imap(square, Ints{}).next(), std::nullopt);
  EXPECT_EQ(pool.imap_unordered(square, Ints{}).next(patience), std::nullopt);
  for (int x : pool.imap(square, Ints{})) ADD_FAILURE() << x;
}

TEST(PoolImap, TheEndStaysTheEnd) {
  Pool pool(2);
  auto range = pool.imap(square, {1});
  EXPECT_EQ(range.next(), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(range.next(), std::nullopt);
}

TEST(PoolImap, AnEndlessInputIsReadABoundedNumberAhead) {
  for (const std::size_t chunk : {1, 5}) {
    Pool pool(2);
    std::size_t read = 0;
    auto endless = views::iota(0) | views::transform([&read](int x) {
                     ++read;
                     return x % 1000;
                   });
    auto range = pool.imap(square, endless, chunk);
    const std::size_t ahead = 4 * pool.processes() * chunk;
    EXPECT_LE(read, ahead);
    for (std::size_t taken = 1; taken <= 100; ++taken) {
      ASSERT_TRUE(range.next(patience));
      ASSERT_LE(read, taken + ahead + chunk);
      ASSERT_GE(read, taken);
    }
  }
}

TEST(PoolImap, TheUnorderedIsLazyToo) {
  Pool pool(2);
  std::size_t read = 0;
  auto endless =
      views::iota(0) | views::transform([&read](int) { return static_cast<int>(++read); });
  auto range = pool.imap_unordered(square, endless, 3);
  for (std::size_t taken = 1; taken <= 100; ++taken) {
    ASSERT_TRUE(range.next(patience));
    ASSERT_LE(read, taken + 4 * 2 * 3 + 3);
  }
}

TEST(PoolImap, EachItemOfASinglePassInputIsReadOnce) {
  Pool pool(2);
  std::stringstream stream;
  for (int i = 0; i < 100; ++i) stream << i << ' ';
  EXPECT_EQ(all_of(pool.imap(square, views::istream<int>(stream), 4)), squares(100));
}

TEST(PoolImap, ATemporaryInputLivesAsLongAsItsResults) {
  Pool pool(2);
  auto range = [&pool] { return pool.imap(square, Ints{1, 2, 3, 4}, 1); }();
  auto moved = std::move(range);
  EXPECT_EQ(all_of(std::move(moved)), (Ints{1, 4, 9, 16}));
}

TEST(PoolImap, NextTimesOutAndCanBeCalledAgain) {
  Pool pool(2);
  Event gate;
  auto range = pool.imap(
      [gate](int x) {
        if (x == 1) gate.wait();
        return x;
      },
      {0, 1, 2});
  EXPECT_EQ(range.next(patience), 0);
  thrown<TimeoutError>([&] { range.next(0s); });
  thrown<TimeoutError>([&] { range.next(50ms); });
  gate.set();
  EXPECT_EQ(range.next(patience), 1);
  EXPECT_EQ(range.next(std::chrono::hours::max()), 2);
  EXPECT_EQ(range.next(0s), std::nullopt);
}

int no_threes(int x) {
  if (x % 3 == 0) throw std::domain_error(std::to_string(x));
  return x;
}

TEST(PoolImap, AnExceptionComesAtItsPositionAndTheIterationGoesOn) {
  for (const std::size_t chunk : {1, 4}) {
    Pool pool(2);
    auto range = pool.imap(no_threes, views::iota(0, 20), chunk);
    for (int x = 0; x < 20; ++x) {
      if (x % 3 == 0) {
        const auto error = thrown<std::domain_error>([&] { range.next(patience); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->what(), std::to_string(x));
      } else {
        EXPECT_EQ(range.next(patience), x);
      }
    }
    EXPECT_EQ(range.next(patience), std::nullopt);
  }
}

TEST(PoolImap, TheUnorderedGivesEveryExceptionOnce) {
  Pool pool(2);
  auto range = pool.imap_unordered(no_threes, views::iota(0, 30), 2);
  std::set<int> values, errors;
  for (bool more = true; more;) {
    try {
      const auto next = range.next(patience);
      more = next.has_value();
      if (more) {
        EXPECT_TRUE(values.insert(*next).second);
      }
    } catch (const std::domain_error& error) {
      EXPECT_TRUE(errors.insert(std::stoi(error.what())).second);
    }
  }
  EXPECT_EQ(values.size(), 20u);
  EXPECT_EQ(errors.size(), 10u);
}

TEST(PoolImap, AFastResultOvertakesASlowOneWhenUnordered) {
  Pool pool(2);
  Event gate;
  auto range = pool.imap_unordered(
      [gate](int x) {
        if (x == 0) gate.wait();
        return x;
      },
      views::iota(0, 30));
  std::set<int> first;
  // All that is read ahead but item 0.
  for (int i = 0; i < 29; ++i) first.insert(range.next(patience).value());
  EXPECT_FALSE(first.contains(0));
  thrown<TimeoutError>([&] { range.next(20ms); });
  gate.set();
  EXPECT_EQ(range.next(patience), 0);
  EXPECT_EQ(range.next(patience), std::nullopt);
}

TEST(PoolImap, LeavingEarlyCancelsWhatIsNotBegun) {
  Pool pool(2);
  Value<int> ran(0);
  for (int x : pool.imap(
           [ran](int y) {
             ran.fetch_add(1);
             return y;
           },
           views::iota(0))) {
    if (x == 10) break;
  }
  EXPECT_LE(ran.load(), 11 + 4 * 2 + 1);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(PoolImap, LeavingEarlyDoesNotWaitForWhatRuns) {
  Pool pool(2);
  Event gate, running;
  Value<int> begun(0);
  {
    auto range = pool.imap(
        [gate, running, begun](int x) {
          begun.fetch_add(1);
          running.set();
          gate.wait();
          return x;
        },
        views::iota(0, 1000));
    running.wait();
  }
  gate.set();
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_LE(begun.load(), 2);
}

TEST(PoolImap, SeveralInterleave) {
  Pool pool(2);
  auto one = pool.imap(square, views::iota(0, 200), 3);
  auto two = pool.imap(square, views::iota(100, 300), 5);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(one.next(patience), i * i);
    EXPECT_EQ(two.next(patience), (i + 100) * (i + 100));
    if (i % 20 == 0) {
      EXPECT_EQ(pool.apply(square, 5), 25);
    }
  }
}

TEST(PoolImap, AnInputThatThrowsIsReportedByNext) {
  Pool pool(2);
  auto bad = views::iota(0, 100) | views::transform([](int x) {
               if (x == 50) throw std::range_error("unreadable");
               return x;
             });
  auto range = pool.imap(square, bad);
  int seen = 0;
  thrown<std::range_error>(
      [&] {
        while (range.next(patience)) ++seen;
      },
      {"unreadable"});
  EXPECT_LE(seen, 50);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

TEST(PoolImap, TextsStreamToo) {
  Pool pool(2);
  int expected = 0;
  for (const std::string& text :
       pool.imap([](int x) { return std::string(static_cast<std::size_t>(x), 'x'); },
                 views::iota(0, 200), 3)) {
    EXPECT_EQ(text.size(), static_cast<std::size_t>(expected++));
  }
  EXPECT_EQ(expected, 200);
}

TEST(PoolImap, AfterThePoolIsGoneNothingHangs) {
  std::optional<ResultRange<int>> range;
  Event gate;
  {
    Pool brief(1);
    range = brief.imap(
        [gate](int x) {
          if (x > 0) gate.wait();
          return x;
        },
        {0, 1, 2});
    EXPECT_EQ(range->next(patience), 0);
  }
  thrown<PoolClosed>([&] { range->next(patience); });
}

}  // namespace
}  // namespace procession::pool_test
