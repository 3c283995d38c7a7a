#include "harness.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>

#include "path.hpp"
#include "tracee.hpp"
#include "trial.hpp"

namespace procession::faults {

namespace {

std::optional<std::size_t> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return static_cast<std::size_t>(std::strtoull(text, nullptr, 10));
}

// Every trial of one plan.
class Campaign {
 public:
  explicit Campaign(const FaultPlan& plan);
  FaultReport run();

 private:
  void record();
  void watch(TrialState& trial, std::size_t step);
  bool is_chosen(std::size_t step) const;
  void kill_at(std::size_t step);
  bool kill_nearby(std::size_t step);
  void kill_by_stepping(std::size_t step);
  void relearn(const Path& walked);
  bool may_go_on() const { return tally_.report.failures.size() < plan_.max_failures; }

  const FaultPlan& plan_;
  std::size_t stride_;
  std::optional<std::size_t> only_;
  Tally tally_;
  Path path_;
  std::set<std::size_t> interesting_;
  std::uint64_t state_ = 0;
  int missed_breakpoints_ = 0;  // although the path was the recorded one
  int records_left_ = 8;
  int early_ends_ = 0;  // in a row
};

Campaign::Campaign(const FaultPlan& plan)
    : plan_(plan),
      stride_(stride_asked_for(plan.stride)),
      only_(number_from_environment("PROCESSION_FAULT_STEP")) {
  tally_.report.name = plan.name;
}

FaultReport Campaign::run() {
  auto begin = std::chrono::steady_clock::now();
  CrashNote note;
  note.set(plan_.name + ": the first trial");
  FaultReport& report = tally_.report;
  std::size_t step = 0;
  try {
    record();
    for (; step <= report.last_step && may_go_on(); ++step) {
      if (!is_chosen(step)) continue;
      note.set(plan_.name + ": step " + std::to_string(step));
      kill_at(step);
    }
  } catch (const std::exception& error) {
    report.failures.push_back({step, error.what()});
  }
  report.distinct_states = tally_.states.size();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

// With a stride, the points at which a survivor may see something else are chosen all the same.
bool Campaign::is_chosen(std::size_t step) const {
  if (only_) return step == *only_;
  return step % stride_ == 0 || interesting_.contains(step);
}

// A trial that steps through all of it: the path, its interesting points, and its end.
void Campaign::record() {
  TrialState trial(plan_, tally_);
  path_ = {};
  Stop stop = Stop::Stepped;
  std::size_t done = 0;
  for (;; ++done) {
    path_.push_back(trial.child().where());
    if (stride_ > 1) watch(trial, done);
    stop = trial.child().step();
    if (stop != Stop::Stepped) break;
    if (done == plan_.max_steps)
      throw std::runtime_error("the operation has not ended after max_steps");
  }
  tally_.report.last_step = done;
  trial.end(done, stop);
}

void Campaign::watch(TrialState& trial, std::size_t step) {
  if (trial.child().before_system_call()) interesting_.insert({step, step + 1});
  std::uint64_t now = shared_state(plan_);
  if (step > 0 && now != state_) interesting_.insert({step - 1, step});
  state_ = now;
}

void Campaign::kill_at(std::size_t step) {
  if (kill_nearby(step)) return;
  // The way changes once or twice in a campaign (a first use, a symbol bound); one that changes
  // all the time is stepped.
  if (records_left_ > 0 && step < path_.size()) {
    --records_left_;
    record();
    if (step > tally_.report.last_step || kill_nearby(step)) return;
  }
  kill_by_stepping(step);
}

// By breakpoint into the neighbourhood, then step by step. False when this run has left the
// recorded path (its child is gone then, unseen by the survivors), or there is no shorter way.
bool Campaign::kill_nearby(std::size_t step) {
  constexpr int too_often = 3;
  if (!Tracee::breakpoints_work() || missed_breakpoints_ >= too_often) return false;
  if (step >= path_.size()) return false;
  Path::Anchor anchor = path_.anchor(step);
  if (anchor.index == 0) return false;

  TrialState trial(plan_, tally_);
  Tracee& child = trial.child();
  Stop stop = child.run_to(path_.at(anchor.index), anchor.hits);
  std::size_t at = anchor.index;
  while (stop == Stop::Stepped && at < step && child.where() == path_.at(at)) {
    stop = child.step();
    ++at;
  }
  if (stop != Stop::Stepped || child.where() != path_.at(at)) {
    ++tally_.report.replayed;
    return false;
  }
  missed_breakpoints_ = 0;
  trial.end(step, Stop::Stepped);
  return true;
}

void Campaign::kill_by_stepping(std::size_t step) {
  TrialState trial(plan_, tally_);
  Tracee& child = trial.child();
  Path walked;
  walked.push_back(child.where());
  Stop stop = Stop::Stepped;
  std::size_t done = 0;
  while (done < step) {
    stop = child.step();
    if (stop != Stop::Stepped) break;
    ++done;
    walked.push_back(child.where());
  }
  relearn(walked);
  early_ends_ = done < step ? early_ends_ + 1 : 0;
  // One short run may have been lucky; several say that the operation has become shorter.
  if (early_ends_ == 3) tally_.report.last_step = done;
  trial.end(done, stop);
}

// The latest run is the likeliest to be repeated: it replaces the beginning of the path. If it is
// no other than the recorded one, it was the breakpoint that failed.
void Campaign::relearn(const Path& walked) {
  std::size_t common = 0;
  while (common < walked.size() && common < path_.size() && walked.at(common) == path_.at(common)) {
    ++common;
  }
  if (common == walked.size()) {
    if (common < path_.size() && path_.anchor(common - 1).index != 0) ++missed_breakpoints_;
    return;
  }
  Path merged = walked;
  for (std::size_t i = walked.size(); i < path_.size(); ++i) merged.push_back(path_.at(i));
  path_ = merged;
}

}  // namespace

std::size_t stride_asked_for(std::size_t own) {
  const auto asked = number_from_environment("PROCESSION_FAULT_STRIDE");
  if (!asked) return std::max<std::size_t>(1, own);
  return *asked <= 1 ? 1 : std::max(*asked, own);
}

FaultReport kill_at_every_instruction(const FaultPlan& plan) { return Campaign(plan).run(); }

std::ostream& operator<<(std::ostream& out, const FaultReport& report) {
  out << report.name << ": " << report.kill_points << " kill points in " << report.last_step
      << " instructions, " << report.distinct_states << " distinct states, " << report.stops
      << " stops, " << report.replayed << " replayed, " << report.seconds << " s";
  if (report.left_running > 0) {
    out << ", " << report.left_running << " trials left a process of the child running";
  }
  for (const FaultFailure& failure : report.failures) {
    out << "\n  step " << failure.step << ": " << failure.what
        << "  (PROCESSION_FAULT_STEP=" << failure.step << " repeats this one alone)";
  }
  return out << '\n';
}

}  // namespace procession::faults
