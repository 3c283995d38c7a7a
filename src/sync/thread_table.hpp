// Which threads of the family hold locks, and which of them have ended.
//
// A thread that takes or waits for a lock has a slot here, from its first such call on. It locks
// the slot's life token, a robust mutex, for as long as it lives; so the kernel marks the token
// when the thread ends, alone or with its process, whatever ended it. Identity is
// (slot number, generation), never a tid.
//
// Example:
//   const CallingThread& me = this_thread();      // one compare when the thread is known
//   word.compare_exchange_strong(free, me.owner); // (slot, generation) in one word
//
// Invariants:
//   1. `occupancy` is odd while the slot has an occupant, and is then its generation. The occupant
//      has locked the token before the store that makes it odd, and holds it until its end.
//   2. Who finds the token dead and `occupancy` still odd may make it even (vacate); from then on
//      nobody is taken for the former occupant, whose identity never comes back.
//   3. Only who holds the token writes anything else in the slot, except `given_back`.
//   4. held - given_back = the locks that name the occupant as their owner, or more (a thread can
//      be killed between the two). A slot with such locks is not reused while others are left, so
//      that they can tell who died.
// The single stores: join: `occupancy` from even to odd. Leave: the kernel's mark in the token.
//
//   |                      | claimed by a new thread | asked about (slot, generation)  |
//   | even, token free/dead| token locked, then odd  | dead                            |
//   | even, token locked   | skipped                 | dead                            |
//   | odd, token locked    | skipped                 | alive if the generation matches |
//   | odd, token dead      | made even, then as even | dead                            |
#pragma once

#include <linux/futex.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/robust_mutex.hpp"
#include "procession/detail/lock_core.hpp"

namespace procession::detail {

// What the occupant of a slot waits for (wait_edge.hpp). Written by the occupant alone.
struct WaitMark {
  std::atomic<std::uint64_t> sequence;  // odd: it waits, and the rest says for what
  std::atomic<std::uint64_t> target;
  std::atomic<const void*> named;
  std::atomic<std::int64_t> since;  // ns of the monotonic clock
};

struct alignas(64) ThreadSlot {
  std::atomic<std::uint32_t> occupancy;
  std::atomic<std::int32_t> pid;
  std::atomic<std::int32_t> tid;
  std::uint32_t process;  // process slot and its generation
  std::uint32_t process_generation;
  std::atomic<std::uint64_t> held;        // locks taken; written by the occupant alone
  std::atomic<std::uint64_t> given_back;  // those that somebody else has set free
  RobustMutex life;
  char process_name[96];
  WaitMark waits;
};

struct ThreadTable {
  static constexpr std::size_t first_chunk = 64;
  static constexpr std::size_t most_chunks = 18;
  std::atomic<void*> chunks[most_chunks];       // chunk i holds first_chunk << i slots
  alignas(64) std::atomic<std::uint32_t> next;  // where the search for a slot begins; a hint
  // sleeper.hpp
  alignas(64) std::atomic<std::uint32_t> bell;  // always 0
  std::atomic<std::uint32_t> rounds;
  // wait_edge.hpp
  LockCore verdict;
};

// The calling thread as this process knows it.
struct CallingThread {
  std::uint32_t epoch;  // of the process; another one after a fork
  std::uint64_t owner;  // slot | generation << 32: what a lock word holds
  ThreadSlot* slot;
  robust_list_head* robust;  // the kernel's view of it; nullptr if not told
  robust_list* duty;         // the entry there that names the family's bell (sleeper.hpp)
};

// Which thread an owner's word names.
struct Owner {
  static constexpr std::uint64_t slot_mask = (std::uint64_t{1} << 29) - 1;
  std::uint32_t slot;
  std::uint32_t generation;
  static Owner from(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word & slot_mask), static_cast<std::uint32_t>(word >> 32)};
  }
  [[nodiscard]] std::uint64_t word() const noexcept {
    return slot | static_cast<std::uint64_t>(generation) << 32;
  }
};

// REQUIRES: this_thread() has been called in this process.
[[nodiscard]] ThreadTable& thread_table() noexcept;
// REQUIRES: 0 < slot, taken from a lock word.
[[nodiscard]] ThreadSlot& thread_slot(std::uint32_t slot) noexcept;

// Whether there is such a slot. REQUIRES: as for thread_table().
[[nodiscard]] bool is_thread_slot(std::uint32_t slot) noexcept;

// Asks the kernel's mark, so that a stopped or slow thread is alive.
[[nodiscard]] inline bool owner_is_dead(const ThreadSlot& slot, std::uint32_t generation) noexcept {
  return slot.occupancy.load(std::memory_order_acquire) != generation || slot.life.holder_died();
}

// Takes a slot for the calling thread. Throws OutOfMemory.
const CallingThread& register_thread();

// Initial-exec: the lock's fast path must not call into the dynamic linker for its few bytes.
extern constinit thread_local CallingThread calling_thread
    __attribute__((tls_model("initial-exec")));
// A word that the kernel wipes in the child of every fork, whoever calls it and however.
extern constinit std::atomic<std::atomic<std::uint32_t>*> fork_mark;

// Throws OutOfMemory at the first call of a thread. Never blocks.
inline const CallingThread& this_thread() {
  const auto* mark = fork_mark.load(std::memory_order_acquire);
  if (calling_thread.epoch == mark->load(std::memory_order_relaxed)) [[likely]] {
    return calling_thread;
  }
  return register_thread();
}

}  // namespace procession::detail
