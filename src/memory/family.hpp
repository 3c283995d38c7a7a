// The family memory: one sealed memfd, mapped at the same address in every process of the family.
//
//   family_base                       FamilyHeader
//   + 64 KiB                          page descriptors, one word for each page of 64 KiB
//   heap_begin                        pages
//
// Everything is sparse: a page of the machine is used when it is first written.
//
// Example:
//   Family& family = ensure_family();           // made, or joined, at the first call
//   family.header().top.load();
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/process_table.hpp"
#include "memory/robust_mutex.hpp"
#include "memory/roots.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

inline constexpr std::size_t page_bytes = 64 << 10;
inline constexpr std::size_t page_limit = family_reserve / page_bytes;
inline constexpr std::uintptr_t descriptors_begin = family_base + page_bytes;
inline constexpr std::uintptr_t heap_begin = descriptors_begin + page_limit * sizeof(std::uint64_t);
inline constexpr std::size_t reference_shards = 64;
inline constexpr std::size_t size_classes = 40;

// Of the process that keeps descriptors on their way: process/descriptor_keeper.hpp.
struct KeeperWords {
  RobustMutex mutex;                   // who starts it
  std::atomic<std::uint64_t> place;    // its slot, and above it the generation
  std::atomic<std::uint64_t> tickets;  // made so far
  std::atomic<std::uint32_t> look_again;
};

// Of the names in /dev/shm that go with the family: process/shared_names.hpp.
struct NameWords {
  RobustMutex mutex;
};

struct FamilyHeader {
  std::uint64_t magic;
  std::uint64_t layout;  // differs between incompatible builds
  std::uint64_t pages;   // the limit
  // page heap (page_heap.hpp)
  RobustMutex page_mutex;
  std::atomic<std::uint64_t> top;
  std::atomic<std::uint64_t> hint;
  std::uint64_t dirty_free;
  std::atomic<std::uint32_t> orphans[size_classes];
  // process table (process_table.hpp)
  RobustMutex sweep_mutex;
  ProcessTable processes;
  // references.hpp
  LoggedMutex references[reference_shards];
  KeeperWords keeper;
  NameWords names;
  std::atomic<std::uint64_t> numbers;  // given so far to what has a descriptor
  std::atomic<void*> roots[static_cast<std::size_t>(FamilyRoot::Count_)];
};
static_assert(sizeof(FamilyHeader) <= page_bytes);

inline FamilyHeader& family() noexcept { return *reinterpret_cast<FamilyHeader*>(family_base); }

// What a re-executed process is told through its environment.
struct Inheritance {
  int memory;          // descriptor of the memfd
  int channel;         // descriptor for its task, -1 if none
  std::uint32_t slot;  // its place in the process table
  std::uint32_t generation;
  int life;               // read end of the parent's life pipe, or -1
  int report;             // where it says how its start went, or -1
  int asking, answering;  // KeeperSockets
  int keeper;             // 1: it is to keep descriptors
};

// Creates the family (this process is then its root), or joins the one that this process was
// executed for. Later calls cost one load. Throws SystemError where the kernel refuses.
void ensure_family();
[[nodiscard]] bool have_family() noexcept;

// The descriptor of the memfd, for an exec.
[[nodiscard]] int family_descriptor() noexcept;

// Both ends of the socket to the process that keeps descriptors. Every process has both: so the
// socket, and what is in it, outlives that process, and any other one can take its place.
struct KeeperSockets {
  int asking = -1;     // everybody writes
  int answering = -1;  // the keeper reads
};
[[nodiscard]] KeeperSockets keeper_sockets() noexcept;

// What this process was executed for, as its environment says; nullptr in a process that was not
// executed by the library. Read before static initialisation is over; the variable is removed.
[[nodiscard]] const Inheritance* inheritance() noexcept;
inline constexpr const char* inheritance_variable = "PROCESSION_CHILD";

// This process's place in the table. REQUIRES: ensure_family().
[[nodiscard]] ProcessSlot& self() noexcept;
[[nodiscard]] std::uint32_t self_index() noexcept;

// Around a fork that glibc does not see (the fork server's). `slot` becomes the child's.
void before_raw_fork(std::uint32_t slot, std::uint32_t generation) noexcept;
void after_raw_fork_in_parent() noexcept;
// False: the slot was taken back meanwhile; the child must exit.
[[nodiscard]] bool after_raw_fork_in_child() noexcept;

// Differs between a process and one forked from it: tells, without a system call, whether an
// object of private memory was made by this process.
[[nodiscard]] unsigned fork_epoch() noexcept;

// The slot that the next fork() of this thread gives its child; made by the caller.
void set_next_fork_slot(std::uint32_t slot, std::uint32_t generation) noexcept;

}  // namespace procession::detail
