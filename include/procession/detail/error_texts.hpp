// The sentences of errors.hpp, and the constructors that say them. Inline, so that the lowest
// layer of the core can throw every one of them.
#pragma once

#include <string.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "procession/errors.hpp"

namespace procession {

namespace detail {

// "process 'Process-1' (pid 42)"; the name may be unknown.
inline std::string process_text(const std::string& name, pid_t pid) {
  return name.empty() ? "process " + std::to_string(pid)
                      : "process '" + name + "' (pid " + std::to_string(pid) + ")";
}

inline std::string object_text(const std::string& name) {
  return name.empty() ? "an unnamed lock" : "'" + name + "'";
}

inline std::string duration_text(std::chrono::nanoseconds time) {
  const long long ns = time.count();
  if (ns < 10'000) return std::to_string(ns) + " ns";
  if (ns < 10'000'000) return std::to_string(ns / 1'000) + " us";
  if (ns < 10'000'000'000) return std::to_string(ns / 1'000'000) + " ms";
  return std::to_string(ns / 1'000'000'000) + " s";
}

// "SIGSEGV (signal 11)"; real-time signals have no name.
inline std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  const std::string number = "signal " + std::to_string(signal);
  return name != nullptr ? "SIG" + std::string(name) + " (" + number + ")" : number;
}

inline std::string owner_died_text(pid_t pid, const std::string& process,
                                   const std::string& object) {
  return process_text(process, pid) + " died while it held " + object_text(object) +
         ", and what that guards may be half changed; check it, then call recover() to take it "
         "over";
}

inline std::string deadlock_text(const std::vector<WaitEdge>& cycle) {
  if (cycle.empty()) return "this wait would never end; nothing was acquired";
  const WaitEdge& first = cycle.front();
  if (cycle.size() == 1) {
    return process_text(first.process_name, first.pid) + " would wait for ever for " +
           object_text(first.waits_for) +
           ", which the caller itself holds; nothing was acquired: release it first, or use a "
           "recursive lock";
  }
  std::string text = "deadlock: ";
  for (const WaitEdge& edge : cycle) {
    if (&edge != &first) text += ", ";
    text += process_text(edge.process_name, edge.pid);
    text += &edge == &first ? " asks for " : " has waited " + duration_text(edge.waiting) + " for ";
    text +=
        object_text(edge.waits_for) + " held by " + process_text(edge.holder_name, edge.held_by);
  }
  return text +
         "; nothing was acquired: release what you hold and try again, or take the locks in the "
         "same order everywhere";
}

inline std::string worker_died_text(pid_t pid, int exitcode, DeathReason reason, int attempts,
                                    const std::string& detail) {
  const std::string worker = "the worker (pid " + std::to_string(pid) + ") ";
  std::string text, remedy;
  switch (reason) {
    case DeathReason::Signal:
      text = worker + "was killed by " + signal_text(-exitcode) + " while it ran the task";
      remedy = "look for the fault in the function, or allow retries";
      break;
    case DeathReason::Exit:
      text = worker + "ended with exit code " + std::to_string(exitcode) + " inside the task";
      remedy = "return or throw from the function instead of calling exit";
      break;
    case DeathReason::Timeout:
      text = worker + "was killed because the task ran past its time limit";
      remedy = "raise the limit or split the task";
      break;
    case DeathReason::MemoryLimit:
      text = worker + "passed its memory limit in the task";
      remedy = "raise memory_limit or split the task";
      break;
    case DeathReason::Cancelled:
      text = worker + "was killed because the task was cancelled";
      remedy = "expect no result from it";
      break;
  }
  if (!detail.empty()) text += " (" + detail + ")";
  if (attempts > 1) text += ", after " + std::to_string(attempts) + " attempts";
  return text + "; " + remedy;
}

}  // namespace detail

inline SystemError::SystemError(int error, std::string phase, const std::string& what)
    : ProcessError(what),
      code_(error),
      phase_(std::make_shared<const std::string>(std::move(phase))) {}

inline OutOfMemory::OutOfMemory(std::size_t requested, std::size_t limit, const std::string& remedy)
    : ProcessError("the family memory is full: a block of " + std::to_string(requested) +
                   " bytes does not fit below its limit of " + std::to_string(limit) + " bytes; " +
                   remedy) {}

inline OwnerDied::OwnerDied(pid_t pid, std::string process_name, std::string object_name)
    : ProcessError(detail::owner_died_text(pid, process_name, object_name)),
      pid_(pid),
      names_(
          std::make_shared<const Names>(Names{std::move(process_name), std::move(object_name)})) {}

inline DeadlockError::DeadlockError(std::vector<WaitEdge> cycle)
    : ProcessError(detail::deadlock_text(cycle)),
      cycle_(std::make_shared<const std::vector<WaitEdge>>(std::move(cycle))) {}

inline WorkerDied::WorkerDied(pid_t pid, int exitcode, DeathReason reason, int attempts,
                              std::string detail)
    : ProcessError(detail::worker_died_text(pid, exitcode, reason, attempts, detail)),
      pid_(pid),
      exitcode_(exitcode),
      reason_(reason),
      attempts_(attempts),
      detail_(std::make_shared<const std::string>(std::move(detail))) {}

}  // namespace procession
