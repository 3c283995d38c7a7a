// The work of the items: nothing to speak of, or a given time.
#pragma once

#include "measure.hpp"

namespace bench {

inline long square(long x) { return x * x; }

// A chain that no compiler shortens; its time grows with `rounds`.
inline long work(long x, unsigned rounds) {
  auto value = static_cast<unsigned long>(x) | 1;
  for (unsigned i = 0; i < rounds; ++i) value = value * 6364136223846793005u + 1442695040888963407u;
  return static_cast<long>(value >> 1);
}

// Rounds that take `seconds` here and now.
inline unsigned rounds_for(double seconds) {
  constexpr unsigned sample = 1'000'000;
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) times.push_back(seconds_of([&] { keep(work(i, sample)); }));
  return static_cast<unsigned>(seconds * sample / summary_of(times).value);
}

}  // namespace bench
