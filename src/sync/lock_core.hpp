// Inside of the lock core, for its neighbours in this folder.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "procession/detail/lock_core.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

// The low half of the word is the futex. Bits 30 and 31 stand where the kernel has them in its
// robust futexes; above them is the owner's generation.
inline constexpr std::uint64_t waiters_bit = std::uint64_t{1} << 31;
inline constexpr std::uint64_t poisoned_bit = std::uint64_t{1} << 30;

inline constexpr std::uint64_t draining_bit = std::uint64_t{1} << 29;

inline constexpr std::uint64_t owner_bits = ~(waiters_bit | poisoned_bit | draining_bit);

inline const std::atomic<std::uint32_t>& futex_of(const LockCore& core) noexcept {
  static_assert(sizeof(core.word) == 8 && std::endian::native == std::endian::little);
  const void* low_half = &core.word;  // for the kernel's eyes only
  return *static_cast<const std::atomic<std::uint32_t>*>(low_half);
}

// REQUIRES: the word is not 0.
inline bool names_a_dead(std::uint64_t word) noexcept {
  const Owner owner = Owner::from(word);
  return owner_is_dead(thread_slot(owner.slot), owner.generation);
}

// A lock names the calling thread as its owner from now on.
inline void count_taken(const CallingThread& me) noexcept {
  auto& held = me.slot->held;
  held.store(held.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// The lock does not name `owner` any more.
inline void count_given(const CallingThread& me, std::uint64_t owner) noexcept {
  if (owner == me.owner) {
    auto& held = me.slot->held;
    held.store(held.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  } else {
    thread_slot(Owner::from(owner).slot).given_back.fetch_add(1, std::memory_order_acq_rel);
  }
}

// The ways of a lock that nobody else wants; false: there is more to do, and nothing is done.
inline bool take_free(LockCore& core, const CallingThread& me) noexcept {
  std::uint64_t free = 0;
  if (!core.word.compare_exchange_strong(free, me.owner, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
    return false;
  }
  count_taken(me);
  return true;
}
inline bool set_free(LockCore& core, const CallingThread& me) noexcept {
  std::uint64_t mine = me.owner;
  if (!core.word.compare_exchange_strong(mine, 0, std::memory_order_release,
                                         std::memory_order_relaxed)) {
    return false;
  }
  count_given(me, me.owner);
  return true;
}

inline bool is_owner(const LockCore& core, const CallingThread& me) noexcept {
  const std::uint64_t word = core.word.load(std::memory_order_relaxed);
  return (word & poisoned_bit) == 0 && (word & owner_bits) == me.owner;
}

// Makes the death of the owner that `word` names known. True: it was this call that did; then
// everybody who sleeps on the futex must be woken. REQUIRES: that owner is dead; on duty.
bool settle_death(LockCore& core, std::uint64_t word) noexcept;

// The warning of OnOwnerDeath::Release, for a death that was settled.
void tell_passed_on(const LockCore& core, std::uint64_t word, const Object& named);

// The calling thread has lost the lock inside a call that was to give it back: wait() of a
// Condition that threw. The releases that belong to its `depth` acquires, in guards which are on
// their way out, find nothing to release, and that is no error.
void note_lost(const LockCore& core, std::uint32_t depth) noexcept;
// It has it again, and one of those releases has something to release.
void note_regained(const LockCore& core) noexcept;
// Whether this release is one of those. REQUIRES: the calling thread is not the owner.
[[nodiscard]] bool forgive_release(const LockCore& core) noexcept;

// For a release by a thread that is not the owner. The owner's death, if it is dead, is made known.
[[noreturn]] void refuse_release(LockCore& core, const Object& named);

}  // namespace procession::detail
