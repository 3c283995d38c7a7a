// Medians of repeated, interleaved runs: these machines are noisy, and drift.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "row.hpp"

namespace bench {

// How much to measure. A quick run is for seeing that everything works, and for the rough figures.
struct Settings {
  bool quick = false;
  int repeats() const { return quick ? 5 : 15; }     // of a cheap run
  int few_repeats() const { return quick ? 2 : 5; }  // of one that takes seconds
  std::size_t items(std::size_t full) const { return quick ? full / 10 : full; }
};

// Seconds that `work` takes.
template <class Work>
double seconds_of(Work&& work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Keeps the compiler from dropping a computation whose result nobody reads.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

Measured summary_of(std::vector<double> values);

// One figure of one run: seconds each, or items per second.
using Run = std::function<double()>;

// Runs ours, theirs, ours, theirs, ... after one unmeasured round, and fills in both medians and
// the spread of the ratio of neighbours.
void compare(Row& row, int repeats, const Run& ours, const Run& theirs);

}  // namespace bench
