// What lies in the gaps of an object is nobody's business, wherever they are.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ship/round_trip.hpp"

namespace procession::detail {
namespace {

struct Gapped {
  long number;
  bool flag;
};

// GCC 12's __builtin_clear_padding passes over what follows an array whose elements have gaps.
TEST(Padding, BehindAnArrayWithGapsItIsNotTakenForAPointer) {
#if defined(__clang__)
  GTEST_SKIP() << "this compiler cannot clear padding";
#endif
  static int target = 0;
  const std::array<Gapped, 12> before{{{1, true}, {2, false}, {3, true}}};
  const int low = static_cast<int>(reinterpret_cast<std::uintptr_t>(&target));
  const long other = 7;
  const auto closure = [before, low, other] { return before[1].number + low + other; };
  using Closure = std::remove_const_t<decltype(closure)>;
  alignas(Closure) std::byte bytes[sizeof(Closure)]{};
  auto* const address = &target;
  std::memcpy(bytes, &before, sizeof before);
  std::memcpy(bytes + sizeof before, &address, sizeof address);  // the int, and a stale gap behind
  std::memcpy(bytes + sizeof before + 8, &other, sizeof other);
  const auto* stale = reinterpret_cast<const Closure*>(bytes);
  EXPECT_EQ(round_trip_callable(*stale)(), closure());
}

}  // namespace
}  // namespace procession::detail
