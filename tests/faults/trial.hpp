// One trial: fresh objects, a child that is killed, survivors that check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "harness.hpp"
#include "tracee.hpp"
#include "waiter.hpp"

namespace procession::faults {

// What all trials of a plan add to.
struct Tally {
  FaultReport report;
  std::unordered_set<std::uint64_t> states;  // hashes of FaultPlan::shared after each death
};

// A hash of the plan's shared bytes as they are now; 0 when the plan names none.
std::uint64_t shared_state(const FaultPlan& plan);

class TrialState {
 public:
  // Setup, the child up to the beginning of its operation, and a waiter that waits. Throws
  // std::runtime_error when one of them does not come so far.
  TrialState(const FaultPlan& plan, Tally& tally);

  // The death, and what the survivors make of it. `reached` instructions were executed, and `stop`
  // is how the last one ended.
  void end(std::size_t reached, Stop stop);

  Tracee& child() { return *child_; }
  void fail(const std::string& what);
  int join_waiter();

 private:
  bool accept(Stop stop);
  void let_survivors_check(const Trial& trial);
  std::string place() const;

  const FaultPlan& plan_;
  Tally& tally_;
  std::optional<Tracee> child_;
  std::optional<Waiter> waiter_;
  std::size_t step_ = 0;
  std::uintptr_t address_ = 0;
};

}  // namespace procession::faults
