// One line of the table: what was measured, beside what, and whether the target holds.
#pragma once

#include <string>
#include <vector>

#include <cereal/types/string.hpp>

namespace bench {

enum class Unit { Seconds, PerSecond, Bytes, BytesPerSecond, Count };

// A median of repeated runs. `spread` is half the distance between the quartiles, as a part of the
// median: 0.05 means that half of the runs lie within about 5 %.
struct Measured {
  double value = 0;
  double spread = 0;
};

// What a ratio (or, where there is nothing to compare with, the value itself) must be. Without a
// text there is none: the row is there to be seen.
struct Target {
  bool at_least = false;  // otherwise: at most
  double bound = 0;
  std::string text{};  // as in the list of targets: "<= 1.25 x"
};

struct Row {
  int number = 0;
  std::string what{};
  Unit unit = Unit::Seconds;
  Measured ours{};
  std::string against{};  // name of the floor or peer; empty: the target is absolute
  Measured theirs{};
  double ratio_spread = 0;
  Target target{};
  std::string note{};  // "recorded, not measured"; "failed: signal 11"
  bool failed = false;

  double ratio() const { return theirs.value > 0 ? ours.value / theirs.value : 0; }
  double judged() const { return against.empty() ? ours.value : ratio(); }
  bool has_target() const { return !target.text.empty(); }
  bool holds() const {
    if (failed || !has_target()) return false;
    return target.at_least ? judged() >= target.bound : judged() <= target.bound;
  }

  // Between the process that measures and the one that prints.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number, what, unit, ours.value, ours.spread, against, theirs.value, theirs.spread,
            ratio_spread, target.at_least, target.bound, target.text, note, failed);
  }
};

using Rows = std::vector<Row>;

}  // namespace bench
