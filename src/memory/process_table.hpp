// Who is in the family.
//
// Every member has a slot with a generation and a life token: a robust mutex that its thread
// locks when it joins and never unlocks, so that the kernel marks it when the process ends.
// Identity is (slot, generation), never a bare pid. The slots are in chunks that double in size,
// so there is always another one.
//
// Invariants:
//   1. A slot's `state` word holds its state, its generation and who made it.
//   2. What a Starting slot holds belongs to its maker; from Alive on to the process.
//   3. Only under sweep_mutex does a slot become Leaving, and leave that state. Who finds a
//      Leaving slot after taking sweep_mutex goes on with a sweep whose sweeper died.
//   4. A slot becomes Ended or Free only when nothing in the family memory belongs to it.
//   5. An Ended slot keeps what became of the process until its parent has read it. A child of a
//      plain fork() is never Ended, but Free: the library was not asked about it, nor will be.
// The single stores: claim and join: the compare-exchange of `state`; leave: the store of it.
//
//   |          | claim    | join    | maker dies     | process dies   | parent collects or dies |
//   | Free     | Starting | refused | -              | -              | -                       |
//   | Starting | skipped  | Alive   | Leaving, Free  | (by its maker) | -                       |
//   | Alive    | skipped  | refused | -              | Leaving, Ended | -                       |
//   | Ended    | skipped  | refused | -              | -              | Free, next generation   |
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "memory/robust_mutex.hpp"

namespace procession::detail {

enum class SlotState : std::uint8_t { Free, Starting, Alive, Leaving, Ended };

struct SlotWord {
  SlotState state;
  std::uint32_t maker;  // slot index, 24 bits
  std::uint32_t generation;
  [[nodiscard]] std::uint64_t word() const noexcept {
    return static_cast<std::uint64_t>(state) | static_cast<std::uint64_t>(maker & 0xffffff) << 8 |
           static_cast<std::uint64_t>(generation) << 32;
  }
  static SlotWord from(std::uint64_t word) noexcept {
    return {static_cast<SlotState>(word & 0xff), static_cast<std::uint32_t>(word >> 8 & 0xffffff),
            static_cast<std::uint32_t>(word >> 32)};
  }
};

struct ProcessSlot {
  std::atomic<std::uint64_t> state;
  std::atomic<void*> ledger;  // references.hpp
  std::atomic<void*> hands;   // hands.hpp
  std::atomic<void*> task;    // what it is to run; a block
  RobustMutex life;
  std::atomic<std::int32_t> pid;
  std::uint32_t parent;  // slot index and generation; 0: none
  std::uint32_t parent_generation;
  std::uint8_t daemon;
  std::uint8_t parent_daemon;
  std::uint8_t uncollected;  // its parent does not know it: a child of a plain fork()
  std::int32_t parent_pid;
  char parent_name[96];
  std::uint64_t joined;  // when, in clock ticks since boot; see slot_is_dead
  char name[96];
  // What became of the start, and of the process (process/supervision).
  std::atomic<std::uint32_t> report;  // 0 none yet, 1 started, 2 failed
  std::int32_t report_error;
  char report_phase[32];
  char report_text[256];
  std::atomic<std::uint32_t> ended;  // 1: the words below are whole
  std::int32_t own_status;           // what the process says it will end with
  std::int32_t wait_status;
  std::uint64_t user_ns, system_ns, peak_bytes;
  std::atomic<std::uint64_t> done;  // bit generation % 64: that occupant was at its end, status 0
};

struct ProcessTable {
  static constexpr std::size_t first_chunk = 64;
  std::atomic<void*> chunks[18];  // chunk i holds first_chunk << i slots
};

// REQUIRES: 0 < index, in a chunk that exists.
[[nodiscard]] ProcessSlot& slot_at(std::uint32_t index) noexcept;
// One past the highest slot there is.
[[nodiscard]] std::uint32_t slot_limit() noexcept;

// A slot for a process to be, Starting and made by this one; everything in it is cleared.
// Throws OutOfMemory.
[[nodiscard]] std::uint32_t claim_slot(std::string_view name, bool daemon);

// Makes the calling process the owner of a Starting slot of that generation; its calling thread
// locks the life token for good. False: the slot was taken back meanwhile.
[[nodiscard]] bool join_slot(std::uint32_t index, std::uint32_t generation) noexcept;

// Asks the kernel, so that a stopped or slow process is alive. REQUIRES: state Alive.
[[nodiscard]] bool slot_is_dead(const ProcessSlot& slot) noexcept;

[[nodiscard]] std::uint32_t generation_of(std::uint32_t index) noexcept;

// The calling process is about to end, with the exit status 0.
void note_done() noexcept;
// Whether a member that is gone had said so. True where 64 others have had its slot since: nobody
// knows any more.
[[nodiscard]] bool was_done(std::uint32_t index, std::uint32_t generation) noexcept;

// True while (index, generation) names a member that is starting or alive.
[[nodiscard]] bool same_member(std::uint32_t index, std::uint32_t generation) noexcept;

void copy_text(char* to, std::size_t room, std::string_view text) noexcept;

}  // namespace procession::detail
