// The way an operation takes through the code, and the cheapest way back to any point of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace procession::faults {

// Addresses of the instructions of one run, in order. To stop before the N-th again, one need not
// step N times: a breakpoint on an earlier instruction, met for the h-th time, leaves only the
// steps from there. Along straight code that is a handful of stops, in a loop the number of rounds.
//
// Invariants:
//  1 anchors_[n].index <= n, and at(anchors_[n].index) has been entered exactly
//    anchors_[n].hits times in the instructions 1..anchors_[n].index.
//  2 anchors_[n].hits + (n - anchors_[n].index) is the least of all such choices.
class Path {
 public:
  struct Anchor {
    std::size_t index = 0;  // 0: none, step from the start
    std::size_t hits = 0;
  };

  void push_back(std::uintptr_t address);
  void replace(std::size_t index, std::uintptr_t address) { addresses_[index] = address; }
  std::size_t size() const noexcept { return addresses_.size(); }
  std::uintptr_t at(std::size_t index) const { return addresses_[index]; }

  // The best start for a stop before instruction `index`.
  Anchor anchor(std::size_t index) const { return anchors_[index]; }

 private:
  std::vector<std::uintptr_t> addresses_;
  std::vector<Anchor> anchors_;
  std::unordered_map<std::uintptr_t, std::size_t> hits_;
};

}  // namespace procession::faults
