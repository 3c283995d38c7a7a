// The kill harness: SIGKILL at every instruction of an operation, and what the survivors make of
// it.
//
//   Page page;                                     // memory that both processes see
//   FaultPlan plan;
//   plan.setup = [&] { page.reset(); };            // here, before each trial: fresh objects
//   plan.prepare = [&] { warm_up(page); };         // in the child, not stepped
//   plan.operation = [&] { page.push(7); };        // in the child, killed after N instructions
//   plan.survivors = [&](const Trial& trial) {     // here, after the child's death
//     trial.expect(page.consistent(), "the count equals the number of items");
//     trial.expect(page.size() == (trial.completed ? 1u : page.size()), "a whole push is seen");
//   };
//   FaultReport report = kill_at_every_instruction(plan);
//   EXPECT_TRUE(report.ok()) << report;
//
// README.md says what exactly is promised, what it costs, and how to repeat one failing step.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tracing.hpp"

namespace procession::faults {

class TrialState;

// One death, as the survivors see it. The child is dead and reaped.
struct Trial {
  std::size_t step;        // instructions that were executed
  bool completed;          // the operation had returned (or ended the process with exit code 0)
  bool blocked;            // killed asleep in a system call; only with FaultPlan::blocks
  std::uintptr_t address;  // of the first instruction that was not executed
  pid_t pid;

  // Notes a failure of this trial unless `holds`; the trial goes on. EXPECT_* and ASSERT_* of
  // GoogleTest, and exceptions, are failures of the trial too.
  void expect(bool holds, std::string_view what) const;

  // Waits for the end of the waiter: its return value, or -N for signal N. A waiter that goes on
  // waiting past the time limit is a failure of the trial, is killed, and gives -SIGKILL.
  int waiter() const;

  TrialState* state;
};

struct FaultPlan {
  std::string name;                       // heads the messages
  std::function<void()> setup = [] {};    // here, before each trial
  std::function<void()> prepare = [] {};  // in the child
  std::function<void()> operation;        // in the child, stepped
  std::function<int()> waiter;            // in a second child, asleep before the operation begins
  std::function<void(const Trial&)> survivors = [](const Trial&) {};  // here

  // The bytes other processes can see, asked for after each setup. Optional: distinct states are
  // counted in them, and a run with a stride adds the points at which they change.
  std::function<std::vector<std::span<const std::byte>>()> shared;

  // The operation ends in a sleep that nobody ends: the last kill hits it asleep.
  bool blocks = false;

  std::chrono::milliseconds time_limit{30'000};  // of a trial, and of its survivors
  // Every how many instructions; for operations that are long. See PROCESSION_FAULT_STRIDE.
  std::size_t stride = 1;
  std::size_t max_steps = 1'000'000;  // more is a failure: it is not ending
  std::size_t max_failures = 5;       // the run stops after so many
};

struct FaultFailure {
  std::size_t step;
  std::string what;  // with the address at which the child was killed
};

struct FaultReport {
  std::string name;
  std::size_t kill_points = 0;      // trials that ended in a kill inside the operation
  std::size_t last_step = 0;        // instructions of the whole operation
  std::size_t distinct_states = 0;  // of FaultPlan::shared, after the death
  std::size_t stops = 0;            // ptrace stops, the unit of cost
  std::size_t replayed = 0;         // trials that had left the recorded path, and were stepped
  std::size_t left_running = 0;     // trials after which a process of the child's group still lived
  double seconds = 0;
  std::vector<FaultFailure> failures;

  bool ok() const noexcept { return failures.empty(); }
};

std::ostream& operator<<(std::ostream& out, const FaultReport& report);

// Runs the plan for N = 0, 1, 2, ... until the operation has returned before the N-th instruction.
// Needs a machine that allows ptrace: see cannot_trace(). Call it from one thread at a time.
FaultReport kill_at_every_instruction(const FaultPlan& plan);

// How many instructions apart the points are where a plan of that stride is tried. In the
// environment PROCESSION_FAULT_STRIDE=1 is the long form; a larger number makes it coarser.
std::size_t stride_asked_for(std::size_t own);

}  // namespace procession::faults
