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
  // Often at first, then less so: each look takes the line away from whoever is to write it.
  for (int pause = 1;;) {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      for (int j = 0; j < pause; ++j) cpu_relax();
    }
    if (monotonic_ns() >= end) return false;
    if (pause < 8) pause *= 2;
  }
}

}  // namespace procession::detail
