// One process under ptrace: started with fork(), stepped an instruction at a time, killed.
//
// The tracee calls `prepare` freely, stops, and then runs `operation` only as far as the tracer
// lets it. It is the leader of a process group of its own, so that whatever it starts can be ended
// with it, and it never outlives the tracer.
//
// Not thread-safe: ptrace belongs to the thread that made the Tracee.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tracing.hpp"

namespace procession::faults {

enum class Stop {
  Stepped,   // one instruction further, or at the breakpoint
  Finished,  // the operation has returned; the process is stopped behind it
  Ended,     // the process has ended by itself; status() says how
  Blocked,   // it sleeps in a system call (only where that is expected)
  Overdue    // the time limit has passed; the process is stopped where it was
};

struct TraceeLimits {
  std::chrono::milliseconds time{30'000};  // from the start of the process
  bool blocks = false;                     // a sleep of the operation is an end of its own
};

class Tracee {
 public:
  using Body = std::function<void()>;

  // Returns when the operation is about to begin. Throws std::runtime_error when `prepare` threw,
  // ended the process, or took longer than the limit.
  Tracee(const Body& prepare, const Body& operation, const TraceeLimits& limits);
  ~Tracee();  // kills
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  // Executes one instruction; a system call counts as one, each round of a `rep` as one.
  Stop step();

  // Runs freely until the instruction at `address` is about to be executed for the `hits`-th time.
  // Needs hardware breakpoints: check breakpoints_work().
  Stop run_to(std::uintptr_t address, std::size_t hits);
  static bool breakpoints_work() noexcept;

  // SIGKILL, and waits until the kernel has ended and released the process.
  void kill();
  // Ends what the killed process has left running in its group; true if there was something.
  bool kill_group() const;

  std::uintptr_t where() const;     // address of the next instruction
  bool before_system_call() const;  // the next instruction is one
  // Where it is, the system call it sleeps in, and return addresses found on its stack.
  std::string describe() const;
  std::string error() const;                       // what() of an exception that left a body
  int status() const noexcept { return status_; }  // as waitpid gave it, after Ended or kill()
  pid_t pid() const noexcept { return pid_; }
  std::size_t stops() const noexcept { return stops_; }  // what the run has cost

 private:
  struct Note;  // in memory shared with the process
  struct Unmap {
    void operator()(Note* note) const noexcept;
  };
  class SameCpu;

  [[noreturn]] static void run(const Body& prepare, const Body& operation, Note& note);
  Stop resume(int request);
  Stop next_stop(int request);
  std::optional<Stop> judge_alarm() const;
  bool set_breakpoint(std::uintptr_t address, bool enabled) const;

  TraceeLimits limits_;
  std::chrono::steady_clock::time_point deadline_;
  std::unique_ptr<Note, Unmap> note_;
  std::optional<Alarm> alarm_;
  std::unique_ptr<SameCpu> same_cpu_;
  pid_t pid_ = 0;
  bool alive_ = false;
  int status_ = 0;
  std::size_t stops_ = 0;
};

}  // namespace procession::faults
