// What the kernel tells about a process from outside, and about this one's memory.
//
// All of it is a snapshot, out of date when it arrives. Any thread may call any function; none
// blocks longer than /proc takes to answer. A pid may have been reused: compare start_time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "procession/types.hpp"

namespace procession::detail {

struct ProcStat {
  char state = 0;  // R S D T t Z X I, as in proc(5)
  pid_t parent = 0;
  std::uint64_t utime = 0;  // clock ticks
  std::uint64_t stime = 0;  // clock ticks
  int num_threads = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot; with the pid it names a process for good
};

// The time in the units of ProcStat::start_time. Whoever has a pid now and began later than this
// is not who has it at this moment.
std::uint64_t ticks_since_boot() noexcept;

// None: there is no such process (any more).
std::optional<ProcStat> read_stat(pid_t pid) noexcept;

// Threads of this process, the caller included. One system call. A thread that has just been
// joined may still be counted for a moment: the kernel tells its joiner before it is gone.
int thread_count();

// Never New. Terminated: ended, whether or not it has been reaped, or no such process.
ProcessState observe_state(pid_t pid) noexcept;

// So far; zeros if there is no such process, no peak memory once it has ended. The sum of the two
// times is exact; its division into user and system time is the kernel's estimate.
Usage observe_usage(pid_t pid) noexcept;

// What `address` lies in, in words that end a sentence: "the stack", "the heap",
// "private memory", "shared memory", "the program's own image (name)", "a loaded library (name)",
// "a mapped file (name)", "unmapped memory". Reads /proc/self/maps: for messages, not for fast
// paths.
std::string describe_address(const void* address);

// Whether `address` lies in a mapping of this process. Asks the kernel, one short system call;
// false without asking for the small numbers that no program has mapped. Sanitizer shadow counts
// as unmapped: it covers much of the address space, and no word that lies there is a pointer of
// the program.
bool mapped(const void* address) noexcept;

}  // namespace procession::detail
