// The short spin before a sleep; part of shared.hpp.
#pragma once

#include <ctime>

#include "pool/shared.hpp"
#include "system/futex.hpp"

namespace procession::detail {

template <class Ready>
bool spin_until(std::uint64_t nanoseconds, Ready ready) {
  if (ready()) return true;
  if (nanoseconds == 0) return false;
  const std::uint64_t end = monotonic_ns() + nanoseconds;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      cpu_relax();
    }
  } while (monotonic_ns() < end);
  return false;
}

}  // namespace procession::detail
