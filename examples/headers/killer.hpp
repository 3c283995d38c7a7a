// Kills workers at random, for --chaos.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace headers {

// From construction to stop(), a thread of this process sends SIGKILL to one of `victims()` every
// `period`. No process is counted twice, however long it stays listed after its death.
class Killer {
 public:
  // `victims` is called on the killer's thread, and must stay callable until stop() returns. An
  // exception it throws ends the program. Pids that are not positive are left alone: kill() takes
  // them for whole groups of processes.
  Killer(std::function<std::vector<pid_t>()> victims, std::chrono::milliseconds period);
  ~Killer();

  // Ends the killing; blocks for one call of `victims` at most. Returns how many were killed.
  std::size_t stop();

 private:
  void run(std::stop_token stopped, std::chrono::milliseconds period);
  void kill_one();

  std::function<std::vector<pid_t>()> victims_;
  std::mt19937 random_{std::random_device{}()};
  std::set<pid_t> killed_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace headers
