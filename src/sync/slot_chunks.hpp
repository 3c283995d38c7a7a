// Entries of an object, one for each slot of a table, in chunks of 64, 128, ... as the slots
// themselves. A chunk is made when one of its entries is first wanted, and goes away with the
// object (Object::homes).
//
// The single store of what is made here: hand_over_first().
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory/heap.hpp"

namespace procession::detail {

template <class Entry>
class SlotChunks {
 public:
  static constexpr std::size_t first_chunk = 64;
  static constexpr std::size_t chunk_count = 18;
  using Homes = std::atomic<void*>[chunk_count];

  // nullptr: it was never wanted. Slots are numbered from 1.
  static Entry* find(const Homes& homes, std::uint32_t slot) noexcept {
    const Place place = place_of(slot);
    auto* entries = static_cast<Entry*>(homes[place.chunk].load(std::memory_order_acquire));
    return entries == nullptr ? nullptr : entries + place.index;
  }

  // All zero at first. Throws OutOfMemory. REQUIRES: not on duty.
  static Entry& make(Homes& homes, std::uint32_t slot) {
    if (Entry* entry = find(homes, slot)) return *entry;
    const std::size_t chunk = place_of(slot).chunk;
    const std::size_t bytes = (first_chunk << chunk) * sizeof(Entry);
    void* block = allocate(bytes);
    std::memset(block, 0, bytes);
    if (!hand_over_first(block, homes[chunk])) deallocate(block);
    return *find(homes, slot);
  }

  // Calls visit(slot, entry) for all entries there are.
  template <class Visit>
  static void for_each(Homes& homes, Visit visit) {
    for (std::size_t chunk = 0; chunk < chunk_count; ++chunk) {
      auto* entries = static_cast<Entry*>(homes[chunk].load(std::memory_order_acquire));
      if (entries == nullptr) continue;
      const auto first = static_cast<std::uint32_t>((first_chunk << chunk) - first_chunk + 1);
      for (std::uint32_t i = 0; i < first_chunk << chunk; ++i) visit(first + i, entries[i]);
    }
  }

 private:
  struct Place {
    std::size_t chunk, index;
  };
  static Place place_of(std::uint32_t slot) noexcept {
    const std::size_t n = slot - 1 + first_chunk;
    const auto chunk = static_cast<std::size_t>(std::bit_width(n / first_chunk)) - 1;
    return {chunk, n - (first_chunk << chunk)};
  }
};

}  // namespace procession::detail
