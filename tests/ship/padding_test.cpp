// What lies in the gaps of an object is nobody's business, wherever they are.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "procession/value.hpp"
#include "ship/round_trip.hpp"

namespace procession::detail {
namespace {

struct Gapped {
  Value<int> handle = Value<int>(0);  // so that it is copied member by member
  bool flag = false;
};

// GCC 12's __builtin_clear_padding, behind an array of elements with gaps, clears bytes that are
// none, and leaves those that are.
TEST(Padding, BehindAnArrayWithGapsItIsNotTakenForAPointer) {
  static int target = 0;
  const auto* const address = &target;
  const int low = static_cast<int>(reinterpret_cast<std::uintptr_t>(address));
  const Value<int> shared(5);
  const std::array<Gapped, 12> before{{{shared, true}, {shared, false}}};
  const long other = 7;
  const auto send = [&] {
    const auto closure = [before, low, other] { return before[1].handle.load() + low + other; };
    return round_trip_callable(closure)() == closure();
  };
  for (int round = 0; round < 3; ++round) {
    // Leaves the address wherever the stack of the call below will have its gaps.
    const int* volatile stale[512];
    for (auto& each : stale) each = address;
    EXPECT_EQ(stale[100], address);
    EXPECT_TRUE(send());
  }
}

}  // namespace
}  // namespace procession::detail
