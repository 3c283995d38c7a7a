// Which processes descend from which, as /proc shows it at one moment.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace procession::test_support {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';                // as in proc(5): R S D T Z ...
  unsigned long long started = 0;  // clock ticks after boot; with the pid, an identity
  std::string command;             // the program's name as the kernel has it

  bool ended() const { return state == 'Z' || state == 'X'; }
  bool same_process(const ProcessEntry& other) const {
    return pid == other.pid && started == other.started;
  }
};

std::vector<ProcessEntry> all_processes();

// Those of `all` that descend from `ancestor`, which is not among them.
std::vector<ProcessEntry> descendants(const std::vector<ProcessEntry>& all, pid_t ancestor);

// The command line of `pid`, for messages; its name when it has none.
std::string describe(const ProcessEntry& process);

}  // namespace procession::test_support
