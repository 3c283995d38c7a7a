// What a spin before a sleep learns: it goes on where it pays, and ends where it does not.
#include "sync/adaptive_spin.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "support/fixture.hpp"

namespace procession::detail {
namespace {

using namespace std::chrono_literals;

class AdaptiveSpinTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (usable_cpu_count() < 2) GTEST_SKIP() << "with one CPU nobody spins";
  }
  // One wait for what does not come. Whether it was looked for at all.
  bool in_vain() {
    AdaptiveSpin spin(learned_, false);
    bool looked = false;
    while (spin.once()) looked = true;
    return looked;
  }
  // One wait for what comes at the look after so many, below 5: the clock is not asked before.
  // Whether it was found.
  bool found_after(int looks) {
    AdaptiveSpin spin(learned_, false);
    while (spin.once()) {
      if (looks-- > 0) continue;
      spin.succeeded();
      return true;
    }
    return false;
  }
  std::atomic<std::uint32_t> learned_{0};
};

TEST_F(AdaptiveSpinTest, TheFirstWaitIsATrial) { EXPECT_TRUE(in_vain()); }

TEST_F(AdaptiveSpinTest, TrialsThatFailBecomeSeldom) {
  int trials = 0;
  for (int i = 0; i < 10'000; ++i) trials += in_vain() ? 1 : 0;
  EXPECT_GE(trials, 8);
  EXPECT_LE(trials, 20);
}

TEST_F(AdaptiveSpinTest, WhatHasPaidGoesOn) {
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(found_after(3)) << i;
}

// After some failures it is tried again, and then goes on.
TEST_F(AdaptiveSpinTest, ItComesBack) {
  for (int i = 0; i < 100; ++i) (void)in_vain();
  int waits = 0;
  while (!found_after(3) && waits < 10'000) ++waits;
  EXPECT_LT(waits, 300);
  EXPECT_TRUE(found_after(3));
}

// A long one that was in vain is followed by shorter ones, not by none.
TEST_F(AdaptiveSpinTest, AFailureHalvesIt) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(found_after(1));
  int looked = 0;
  while (in_vain()) ++looked;
  EXPECT_GE(looked, 5);  // 50, 25, 12.5, 6.25, 3.1, 1.6 us
  EXPECT_LE(looked, 7);
}

TEST_F(AdaptiveSpinTest, TakesNoLongerThanItsLimit) {
  auto shortest = AdaptiveSpin::Clock::duration::max();
  for (int i = 0; i < 50; ++i) {
    learned_ = 0;
    const auto begin = AdaptiveSpin::Clock::now();
    EXPECT_TRUE(in_vain());
    shortest = std::min(shortest, AdaptiveSpin::Clock::now() - begin);
  }
  EXPECT_GE(shortest, AdaptiveSpin::longest);
  EXPECT_LE(shortest, 10 * AdaptiveSpin::longest);
}

}  // namespace
}  // namespace procession::detail
