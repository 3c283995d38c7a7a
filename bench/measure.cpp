#include "measure.hpp"

#include <algorithm>

namespace bench {

Measured summary_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  auto at = [&](double part) {
    double place = part * static_cast<double>(values.size() - 1);
    auto low = static_cast<std::size_t>(place);
    std::size_t high = std::min(low + 1, values.size() - 1);
    double rest = place - static_cast<double>(low);
    return values[low] * (1 - rest) + values[high] * rest;
  };
  double median = at(0.5);
  return {median, median > 0 ? (at(0.75) - at(0.25)) / 2 / median : 0};
}

void compare(Row& row, int repeats, const Run& ours, const Run& theirs) {
  std::vector<double> our_values, their_values, ratios;
  ours();
  theirs();
  for (int i = 0; i < repeats; ++i) {
    our_values.push_back(ours());
    their_values.push_back(theirs());
    if (their_values.back() > 0) ratios.push_back(our_values.back() / their_values.back());
  }
  row.ours = summary_of(our_values);
  row.theirs = summary_of(their_values);
  row.ratio_spread = summary_of(ratios).spread;
}

}  // namespace bench
