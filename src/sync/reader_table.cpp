#include "sync/reader_table.hpp"

#include <algorithm>
#include <bit>

#include "memory/heap.hpp"
#include "sync/slot_chunks.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t first_chunk = ReaderTable::first_chunk;

using Entries = SlotChunks<ReaderEntry>;
static_assert(Entries::first_chunk == first_chunk &&
              Entries::chunk_count == ReaderTable::chunk_count);

// Most often all counts are 0, and that can be seen without a branch for each.
bool all_zero(const std::atomic<std::uint64_t>* entries, std::size_t count) noexcept {
  std::uint64_t words = 0;
  for (std::size_t i = 0; i < count; ++i) words |= entries[i].load(std::memory_order_seq_cst);
  return static_cast<std::uint32_t>(words) == 0;
}

// Calls visit(owner) for each entry with shares until one returns true. REQUIRES: the
// object lives.
template <class Visit>
void visit_shares(std::atomic<void*> (&chunks)[ReaderTable::chunk_count], Visit visit) {
  for (std::size_t chunk = 0; chunk < ReaderTable::chunk_count; ++chunk) {
    auto* entries =
        static_cast<std::atomic<std::uint64_t>*>(chunks[chunk].load(std::memory_order_seq_cst));
    if (entries == nullptr || all_zero(entries, first_chunk << chunk)) continue;
    for (std::size_t i = 0; i < first_chunk << chunk; ++i) {
      std::uint64_t word = entries[i].load(std::memory_order_seq_cst);
      if (static_cast<std::uint32_t>(word) == 0) continue;
      const Owner owner{static_cast<std::uint32_t>((first_chunk << chunk) - first_chunk + i + 1),
                        static_cast<std::uint32_t>(word >> 32)};
      if (owner_is_dead(thread_slot(owner.slot), owner.generation)) {
        entries[i].compare_exchange_strong(word, 0, std::memory_order_acq_rel);
      } else if (visit(owner)) {
        return;
      }
    }
  }
}

}  // namespace

ReaderEntry* ReaderTable::find_far(const CallingThread& me) noexcept {
  return Entries::find(chunks, Owner::from(me.owner).slot);
}

ReaderEntry& ReaderTable::get(const CallingThread& me) {
  const std::uint32_t slot = Owner::from(me.owner).slot;
  ReaderEntry& entry = Entries::make(chunks, slot);
  const std::uint64_t mark = std::uint64_t{1} << std::min(slot - 1, common_mark);
  if ((marks.load(std::memory_order_acquire) & mark) == 0) {
    marks.fetch_or(mark, std::memory_order_seq_cst);
  }
  return entry;
}

void ReaderTable::append_holders(std::vector<std::uint64_t>& out) const {
  for (std::size_t chunk = 0; chunk < chunk_count; ++chunk) {
    void* block = chunks[chunk].load(std::memory_order_seq_cst);
    // Who was to be asked about may have been killed, and the object may be gone.
    if (block == nullptr || find_block(block) != block) continue;
    if (header_of(block).home() != reinterpret_cast<std::uintptr_t>(&chunks[chunk])) continue;
    auto* entries = static_cast<ReaderEntry*>(block);
    for (std::size_t i = 0; i < first_chunk << chunk; ++i) {
      const std::uint64_t word = entries[i].word_.load(std::memory_order_seq_cst);
      const auto slot = static_cast<std::uint32_t>((first_chunk << chunk) - first_chunk + i + 1);
      const Owner owner{slot, static_cast<std::uint32_t>(word >> 32)};
      if (static_cast<std::uint32_t>(word) == 0 || !is_thread_slot(slot)) continue;
      if (!owner_is_dead(thread_slot(slot), owner.generation)) out.push_back(owner.word());
    }
  }
}

bool ReaderTable::any_of(std::uint64_t marked) noexcept {
  if (marked >> common_mark == 0) [[likely]] {
    // A mark is set when the chunk is there.
    const auto* entries = static_cast<ReaderEntry*>(chunks[0].load(std::memory_order_acquire));
    std::uint64_t words = 0;
    for (; marked != 0; marked &= marked - 1) {
      words |= entries[std::countr_zero(marked)].word_.load(std::memory_order_seq_cst);
    }
    if (static_cast<std::uint32_t>(words) == 0) [[likely]]
      return false;
  }
  bool found = false;
  visit_shares(chunks, [&](Owner) { return found = true; });
  return found;
}

std::vector<Owner> ReaderTable::collect() {
  std::vector<Owner> owners;
  visit_shares(chunks, [&](Owner owner) {
    owners.push_back(owner);
    return false;
  });
  return owners;
}

}  // namespace procession::detail
