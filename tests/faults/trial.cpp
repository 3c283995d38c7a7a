#include "trial.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace procession::faults {

namespace {

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

int failed_expectations() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return 0;
  int failed = 0;
  for (int i = 0; i < test->result()->total_part_count(); ++i) {
    if (test->result()->GetTestPartResult(i).failed()) ++failed;
  }
  return failed;
}

}  // namespace

// FNV-1a over words; only ever compared with others of the same run.
std::uint64_t shared_state(const FaultPlan& plan) {
  if (!plan.shared) return 0;
  std::uint64_t hash = 0xcbf29ce484222325;
  for (auto range : plan.shared()) {
    while (!range.empty()) {
      std::uint64_t word = 0;
      std::size_t bytes = std::min(range.size(), sizeof(word));
      std::memcpy(&word, range.data(), bytes);
      hash = (hash ^ word) * 0x100000001b3;
      hash ^= hash >> 29;
      range = range.subspan(bytes);
    }
  }
  return hash;
}

TrialState::TrialState(const FaultPlan& plan, Tally& tally) : plan_(plan), tally_(tally) {
  plan_.setup();
  child_.emplace(plan_.prepare, plan_.operation, TraceeLimits{plan_.time_limit, plan_.blocks});
  if (plan_.waiter) waiter_.emplace(plan_.waiter, plan_.time_limit);
}

void Trial::expect(bool holds, std::string_view what) const {
  if (!holds) state->fail(std::string(what));
}

int Trial::waiter() const { return state->join_waiter(); }

std::string TrialState::place() const {
  return address_ == 0 ? std::string("after its end") : "at " + describe_address(address_);
}

void TrialState::fail(const std::string& what) {
  tally_.report.failures.push_back({step_, what + "; killed " + place()});
}

int TrialState::join_waiter() {
  if (!waiter_) throw std::logic_error("the plan has no waiter");
  if (auto code = waiter_->join()) return *code;
  fail("the waiter goes on waiting");
  return -SIGKILL;
}

// False when the child came to an end that is none of the plan's.
bool TrialState::accept(Stop stop) {
  if (stop == Stop::Overdue) {
    fail("the operation did not end in time; it is " + child_->describe());
    return false;
  }
  int code = stop == Stop::Ended ? exit_code(child_->status()) : 0;
  if (code == 0) return true;
  std::string error = child_->error();
  fail("the operation ended the process with exit code " + std::to_string(code) +
       (error.empty() ? "" : ": " + error));
  return false;
}

void TrialState::end(std::size_t reached, Stop stop) {
  step_ = reached;
  if (stop != Stop::Ended) address_ = child_->where();
  bool good = accept(stop);
  child_->kill();
  tally_.report.stops += child_->stops();
  if (good) {
    bool completed = stop == Stop::Finished || stop == Stop::Ended;
    if (!completed) ++tally_.report.kill_points;
    if (plan_.shared) tally_.states.insert(shared_state(plan_));
    let_survivors_check({reached, completed, stop == Stop::Blocked, address_, child_->pid(), this});
  }
  waiter_.reset();
  if (child_->kill_group()) ++tally_.report.left_running;
}

void TrialState::let_survivors_check(const Trial& trial) {
  std::string where = plan_.name + ": step " + std::to_string(step_) +
                      (trial.completed ? ", completed, killed " : ", killed ") + place();
  ::testing::ScopedTrace trace(__FILE__, __LINE__, where);
  // Longer than the waiter may take, for whom survivors may wait.
  Alarm alarm(2 * plan_.time_limit, 0, 0, where + ": the survivors did not return in time\n");
  int before = failed_expectations();
  try {
    plan_.survivors(trial);
  } catch (const std::exception& error) {
    fail(std::string("the survivors threw: ") + error.what());
  }
  if (failed_expectations() > before) fail("an expectation of the test failed");
}

}  // namespace procession::faults
