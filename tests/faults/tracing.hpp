// What the harness needs from the machine: may it trace, where is a process, has it taken too long.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

namespace procession::faults {

// Why this build or this machine cannot step processes, as one sentence; nothing when it can.
std::optional<std::string> cannot_trace();

// The part of a stopped process's registers that the harness looks at.
struct Registers {
  std::uintptr_t pc;  // next instruction
  std::uintptr_t sp;
  long result;       // where a system call leaves its result
  long system_call;  // number of the last one
};
Registers registers_of(pid_t pid);

// One word of a stopped process's memory; 0 where nothing is mapped.
std::uintptr_t word_at(pid_t pid, std::uintptr_t address);

// True when the instruction at (just before) `pc` of the stopped process is a system call.
bool is_system_call(pid_t pid, std::uintptr_t pc);
bool follows_system_call(pid_t pid, std::uintptr_t pc);

// "module+0x1a2b (function)", an address of this process or of one forked from it.
std::string describe_address(std::uintptr_t address);

// Where the stopped process is, the system call it was in, return addresses found on its stack.
std::string describe_process(pid_t pid);

// Sends `signal` to `pid` once `limit` has passed, and again every `limit` until destroyed. With
// pid 0 it writes `sentence` and a backtrace to stderr and aborts this process. Alarms nest; each
// belongs to the thread that made it.
class Alarm {
 public:
  Alarm(std::chrono::milliseconds limit, pid_t pid, int signal, std::string sentence = {});
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  static void ring(int, siginfo_t* info, void*);
  pid_t pid_;
  int signal_;
  std::string sentence_;
  timer_t timer_{};
};

// Says which trial it was when this process crashes in the middle of one: survivors that fall over
// what a dead process has left are the failure to expect. One at a time.
class CrashNote {
 public:
  CrashNote();
  ~CrashNote();
  CrashNote(const CrashNote&) = delete;
  CrashNote& operator=(const CrashNote&) = delete;

  void set(const std::string& sentence);

 private:
  static constexpr std::array<int, 5> signals{SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
  static void report(int);
  std::array<struct sigaction, signals.size()> before_{};
};

}  // namespace procession::faults
