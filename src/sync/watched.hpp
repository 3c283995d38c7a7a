// Whose end a sleeper can watch: a thread (thread_table.hpp) or a process of the family.
//
// Both have a slot with a life token and an identity: a word that is another one when the slot
// has a new occupant. An Owner with process_owner in its slot number names a process.
//
// A process's token is held by its first thread, and is dead as soon as that has ended. The
// process may have others: ask process_is_gone().
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "memory/process_table.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

inline constexpr std::uint32_t process_owner = std::uint32_t{1} << 29;

struct Watched {
  std::atomic<std::uint32_t>& token;
  std::atomic<std::uint32_t>& identity;
  const RobustMutex& life;
  std::uint32_t expected;

  [[nodiscard]] bool token_is_dead() const noexcept {
    return identity.load(std::memory_order_acquire) != expected || life.holder_died();
  }
};

inline Watched watched(const Owner& owner) noexcept {
  if ((owner.slot & process_owner) == 0) {
    ThreadSlot& slot = thread_slot(owner.slot);
    return {*reinterpret_cast<std::atomic<std::uint32_t>*>(slot.life.word()), slot.occupancy,
            slot.life, owner.generation};
  }
  static_assert(std::endian::native == std::endian::little);
  ProcessSlot& slot = slot_at(owner.slot & ~process_owner);
  auto* generation = reinterpret_cast<std::atomic<std::uint32_t>*>(&slot.state) + 1;
  return {*reinterpret_cast<std::atomic<std::uint32_t>*>(slot.life.word()), *generation, slot.life,
          owner.generation};
}

// Whether that member has ended, or is ending and will run no instruction of the program any
// more. Asks the kernel, so that a stopped or slow process is alive.
[[nodiscard]] bool process_is_gone(std::uint32_t index, std::uint32_t generation) noexcept;

}  // namespace procession::detail
