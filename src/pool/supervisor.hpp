// The one thread that this process keeps for its pools: it waits for the death of workers and for
// deadlines, and calls who is concerned.
//
// Started with the first watch, ended with the last. Callbacks run on its thread, one at a time;
// they may add watches, and remove others than their own by returning.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace procession::detail {

class Supervisor {
 public:
  using Id = std::uint64_t;
  static Supervisor& instance();

  // Calls `ended` once, when the descriptor is readable. Throws SystemError.
  Id watch(int descriptor, std::function<void()> ended);
  // Afterwards the callback neither runs nor will run; from the supervisor's own thread it
  // returns at once. REQUIRES: the caller holds no lock that a callback takes.
  void forget(Id id);
  // Calls `due` at about that time, once.
  Id at(std::chrono::steady_clock::time_point time, std::function<void()> due);

  // Ends the thread if nothing is watched. The same requirement as for forget().
  void end_if_idle();

  [[nodiscard]] bool on_its_thread() const;

  struct State;

 private:
  Supervisor() = default;
  State& state() const;
};

}  // namespace procession::detail
