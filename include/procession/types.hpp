// The small types of the public interface: plain data, no behaviour.
//
// Values, all of them: copy them freely, pass them between threads and processes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace procession {

// What a process is doing. New: not started. Terminated: ended, whether or not it has been reaped.
// In between, what the scheduler says: Running on a CPU, Ready to run and waiting for a CPU,
// Blocked in a wait (or stopped). A process with several threads is as active as its most active
// thread.
enum class ProcessState { New, Ready, Running, Blocked, Terminated };

// How a process comes to be. Fork: a copy of the caller. ForkServer: forked from a clean,
// single-threaded server. Spawn: a fresh execution of the program's own binary.
enum class StartMethod { Fork, ForkServer, Spawn };

// Bounds that the kernel enforces on one process; what is empty is inherited.
struct Limits {
  std::optional<std::size_t> memory{};     // bytes of private writable memory (heap and the like)
  std::optional<std::size_t> core_dump{};  // bytes; 0: no core file
  std::optional<std::chrono::seconds> cpu_time{};  // past it: SIGXCPU, then SIGKILL
  std::optional<int> open_files{};                 // descriptors open at once
};

// What a process has used so far, or had used when it ended.
struct Usage {
  std::chrono::nanoseconds user_time{};
  std::chrono::nanoseconds system_time{};
  std::size_t peak_memory{};  // bytes resident, at most
};

// Why the process running a task died. Signal: killed from outside, or crashed. Exit: it left by
// itself (std::exit and the like). The other three: the pool ended it.
enum class DeathReason { Signal, Exit, Timeout, MemoryLimit, Cancelled };

// What the next acquirer of a lock gets when its holder died: OwnerDied, or simply the lock.
enum class OnOwnerDeath { Raise, Release };

// The name of a primitive, as diagnostics show it.
struct Name {
  std::string text{};
};

// Which process: a snapshot, it does not follow later changes and says nothing about liveness.
class ProcessInfo {
 public:
  ProcessInfo(std::string name, pid_t pid, bool daemon)
      : name_(std::move(name)), pid_(pid), daemon_(daemon) {}

  const std::string& name() const noexcept { return name_; }
  pid_t pid() const noexcept { return pid_; }
  bool daemon() const noexcept { return daemon_; }

  friend bool operator==(const ProcessInfo&, const ProcessInfo&) = default;

 private:
  std::string name_;
  pid_t pid_;
  bool daemon_;
};

}  // namespace procession
