// Whether what several did at the same time could have happened one after the other.
//
// A history is a list of calls, each with the moment it began and the moment it ended. It is
// linearizable if the calls have an order in which each does what the model says, and in which no
// call comes before one that had ended when it began.
//
// Example:
//   struct Counter { long value = 0; bool apply(const Call& call); bool operator==... };
//   EXPECT_TRUE(is_linearizable(history, Counter()));
//
// The search is that of J. Wing and C. Gong ("Testing and verifying concurrent objects", 1993);
// that no state is searched twice is G. Lowe's addition ("Testing for linearizability", 2017).
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace procession::channel_test {

// Of a call: `begin` and `end`, from one counter. Of a model: apply(call) changes it as the call
// does and says whether the call could end so; an order (operator<) of its states.
template <class Call, class Model>
class Linearizer {
 public:
  explicit Linearizer(const std::vector<Call>& history) : history_(history) {}

  bool search(const Model& model, std::uint64_t done = 0) {
    if (done == all()) return true;
    if (!seen_.insert({done, model}).second) return false;
    const auto bound = first_end(done);
    for (std::size_t i = 0; i < history_.size(); ++i) {
      // Whatever began after another one's end comes after it.
      if (is_in(done, i) || history_[i].begin > bound) continue;
      Model next = model;
      if (next.apply(history_[i]) && search(next, done | std::uint64_t{1} << i)) return true;
    }
    return false;
  }

 private:
  static bool is_in(std::uint64_t set, std::size_t i) { return (set >> i & 1) != 0; }
  [[nodiscard]] std::uint64_t all() const { return (std::uint64_t{1} << history_.size()) - 1; }
  [[nodiscard]] auto first_end(std::uint64_t done) const {
    auto first = decltype(history_[0].end)(-1);
    bool found = false;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (is_in(done, i) || (found && first <= history_[i].end)) continue;
      first = history_[i].end;
      found = true;
    }
    return first;
  }

  const std::vector<Call>& history_;
  std::set<std::pair<std::uint64_t, Model>> seen_;
};

// REQUIRES: fewer than 64 calls.
template <class Call, class Model>
bool is_linearizable(const std::vector<Call>& history, const Model& model) {
  return Linearizer<Call, Model>(history).search(model);
}

}  // namespace procession::channel_test
