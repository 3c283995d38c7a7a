// Which threads hold shares of an RWLock, and how many each.
//
// One word for each thread of the family: the generation of the thread's slot and a count. The
// words are in blocks of 64, 128, ..., as the slots of the thread table are; a block is made when
// a thread of its range first wants a share, and goes away with the object (Object::homes).
//
// Invariants:
//   1. An entry is written by the thread that it names, with these exceptions: the next occupant
//      of its slot writes over it, and anybody may clear an entry whose thread is dead.
//   2. A dead thread's entry counts for nothing. Its identity never comes back.
// The single store of every change: that of the entry.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sync/thread_table.hpp"

namespace procession::detail {

class ReaderEntry {
 public:
  // How many shares the calling thread has.
  [[nodiscard]] std::uint32_t mine(const CallingThread& me) const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    return (word ^ me.owner) >> 32 == 0 ? static_cast<std::uint32_t>(word) : 0;
  }
  // Sequentially consistent: the store comes before whatever the caller looks at next.
  void set(const CallingThread& me, std::uint32_t count) noexcept {
    word_.exchange((me.owner & generation_bits) | count, std::memory_order_seq_cst);
  }

 private:
  friend struct ReaderTable;
  static constexpr std::uint64_t generation_bits = ~std::uint64_t{0} << 32;
  std::atomic<std::uint64_t> word_;
};

// All zero: nobody.
struct ReaderTable {
  static constexpr std::size_t chunk_count = ThreadTable::most_chunks;
  std::atomic<void*> chunks[chunk_count];  // right behind the head of the object

  // The calling thread's; nullptr: it never had a share. Never blocks.
  [[nodiscard]] ReaderEntry* find(const CallingThread& me) noexcept;
  // Throws OutOfMemory.
  [[nodiscard]] ReaderEntry& get(const CallingThread& me);

  // The living threads that hold shares, as owners' words. Does not fault where the object has
  // gone meanwhile.
  void append_holders(std::vector<std::uint64_t>& out) const;
  // Whether there is one. Clears the entries of the dead.
  [[nodiscard]] bool any() noexcept;
  // The living threads that hold shares. Clears the entries of the dead.
  [[nodiscard]] std::vector<Owner> collect();
};

}  // namespace procession::detail
