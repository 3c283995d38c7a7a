#include "procession/value.hpp"

#include <signal.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using test_support::Child;
using test_support::child_failed;
using test_support::ChildStatus;
using test_support::start_child;

struct Wide {
  std::array<std::uint64_t, 8> words;
  bool whole() const {
    for (const auto word : words) {
      if (word != words[0]) return false;
    }
    return true;
  }
  static Wide of(std::uint64_t n) {
    Wide wide{};
    wide.words.fill(n);
    return wide;
  }
};
static_assert(sizeof(Wide) == 64);

struct Odd {
  char text[13];
};
struct alignas(32) Aligned {
  int n;
};
enum class Colour : std::uint8_t { Red, Green };

TEST(ValueTest, StartsWithWhatItIsGiven) {
  EXPECT_EQ(Value<int>().load(), 0);
  EXPECT_EQ(Value<double>(2.5).load(), 2.5);
  EXPECT_EQ(Value(Colour::Green).load(), Colour::Green);
  EXPECT_EQ(Value(true).load(), true);
  EXPECT_EQ(Value(Wide::of(3)).load().words[7], 3u);
  EXPECT_STREQ(Value(Odd{"hello"}).load().text, "hello");
  EXPECT_EQ(Value(1.5L).load(), 1.5L);
  EXPECT_EQ(Value<Aligned>(Aligned{4}, Name{"aligned"}).load().n, 4);
}

TEST(ValueTest, IsAlignedAsItsTypeDemands) {
  const Value<Aligned> value;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&value.value()) % 32, 0u);
  const Value<long double> wide;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&wide.value()) % alignof(long double), 0u);
}

TEST(ValueTest, ValueIsTheSharedPlaceItself) {
  const Value<int> small(1);
  small.value() = 7;
  EXPECT_EQ(small.load(), 7);
  small.store(8);
  EXPECT_EQ(small.value(), 8);
  const Value<Wide> wide(Wide::of(1));
  Wide& place = wide.value();
  place.words[3] = 9;
  EXPECT_EQ(wide.load().words[3], 9u);
  wide.store(Wide::of(5));
  EXPECT_EQ(place.words[3], 5u);
}

TEST(ValueTest, NumbersHaveAtomicOperations) {
  const Value<int> n(5);
  EXPECT_EQ(n.fetch_add(3), 5);
  EXPECT_EQ(n.exchange(1), 8);
  int expected = 2;
  EXPECT_FALSE(n.compare_exchange(expected, 9));
  EXPECT_EQ(expected, 1);
  EXPECT_TRUE(n.compare_exchange(expected, 9));
  EXPECT_EQ(n.load(), 9);
  const Value<double> d(0.5);
  EXPECT_EQ(d.fetch_add(0.25), 0.5);
  EXPECT_EQ(d.load(), 0.75);
}

TEST(ValueTest, ACopyNamesTheSameValueAndAMovedFromHandleNone) {
  Value<int> value(1);
  const auto copy = Value<int>::from_object(value.handle_object());
  copy.store(2);
  EXPECT_EQ(value.load(), 2);
  const Value<int> moved = std::move(value);
  EXPECT_THROW((void)value.load(), StateError);  // NOLINT(bugprone-use-after-move)
}

TEST(ValueTest, ProcessesAddTogether) {
  const Value<long> atomic(0), locked(0);
  std::vector<Child> children;
  for (int n = 0; n < 3; ++n) {
    children.push_back(start_child([&] {
      for (int i = 0; i < 20'000; ++i) {
        atomic.fetch_add(1);
        locked.with_lock([](long& value) { value = value + 1; });
      }
    }));
  }
  for (Child& child : children) EXPECT_EQ(child.wait(), (ChildStatus{0, 0}));
  EXPECT_EQ(atomic.load(), 60'000);
  EXPECT_EQ(locked.load(), 60'000);
}

TEST(ValueTest, WithLockReturnsResultsAndCanBeNested) {
  const Value<int> value(1);
  EXPECT_EQ(value.with_lock([&](int& outer) {
    outer = 2;
    return value.with_lock([](int& inner) { return inner + 1; });
  }),
            3);
  EXPECT_THROW(value.with_lock([](int&) -> int { throw std::out_of_range("x"); }),
               std::out_of_range);
  value.with_lock([](int& n) { n = 4; });  // set free by the exception
  EXPECT_EQ(value.load(), 4);
}

TEST(ValueTest, AProcessKilledInsideWithLockIsReported) {
  const Value<int> value(1, Name{"stock"});
  const Event inside, never;
  Child child = start_child([&] {
    value.with_lock([&](int&) {
      inside.set();
      never.wait();
    });
  });
  inside.wait();
  child.kill();
  child.wait();
  try {
    value.with_lock([](int&) {});
    FAIL();
  } catch (const OwnerDied& death) {
    EXPECT_EQ(death.object_name(), "stock");
  }
  EXPECT_EQ(value.load(), 1);
}

TEST(ValueTest, AWideValueIsNeverTorn) {
  const Value<Wide> value(Wide::of(0));
  const Value<bool> stop(false);
  std::vector<Child> writers;
  for (std::uint64_t n = 1; n <= 2; ++n) {
    writers.push_back(start_child([&, n] {
      for (std::uint64_t i = n; !stop.load(); i += 2) value.store(Wide::of(i));
    }));
  }
  const int reads = test_support::under_tsan || test_support::under_asan ? 20'000 : 300'000;
  for (int i = 0; i < reads; ++i) ASSERT_TRUE(value.load().whole());
  stop.store(true);
  for (Child& writer : writers) EXPECT_EQ(writer.wait(), (ChildStatus{0, 0}));
}

TEST(ValueTest, AKilledWriterLeavesAWholeValueThatCanBeReplaced) {
  const Value<Wide> value(Wide::of(0));
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t before = value.load().words[0];
    Child writer = start_child([&] {
      for (std::uint64_t i = before + 1;; ++i) value.store(Wide::of(i));
    });
    while (value.load().words[0] == before) {
    }
    writer.kill();
    writer.wait();
    EXPECT_TRUE(value.load().whole());
    EXPECT_GT(value.load().words[0], before);
    EXPECT_TRUE(value.value().whole());
    value.store(Wide::of(1000));
    EXPECT_EQ(value.load().words[5], 1000u);
    value.store(Wide::of(0));
  }
}

TEST(ValueTest, ThreadsReadWholeValues) {
  const Value<Wide> value(Wide::of(0));
  std::jthread writer([&](const std::stop_token& stop) {
    for (std::uint64_t i = 1; !stop.stop_requested(); ++i) value.store(Wide::of(i));
  });
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(value.load().whole());
}

}  // namespace
}  // namespace procession
