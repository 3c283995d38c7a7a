// Which threads hold shares of an RWLock, and how many each.
//
// One word for each thread of the family: the generation of the thread's slot and a count. The
// words are in blocks of 64, 128, ..., as the slots of the thread table are; a block is made when
// a thread of its range first wants a share, and goes away with the object (Object::homes). And
// one word of marks, which says where to look.
//
// Invariants:
//   1. An entry is written by the thread that it names, with these exceptions: the next occupant
//      of its slot writes over it, and anybody may clear an entry whose thread is dead.
//   2. A dead thread's entry counts for nothing. Its identity never comes back.
//   3. A thread's mark is set before its entry first names it, and marks are never taken back. So
//      a writer looks only at entries with a mark; and a reader whose entry names it has one.
//      Marks of threads that are gone, or were killed before they had a share, do no harm.
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
  // Whether the entry names the calling thread, with so many shares.
  [[nodiscard]] bool holds(const CallingThread& me, std::uint32_t count) const noexcept {
    return word_.load(std::memory_order_relaxed) == word_of(me, count);
  }
  // Sequentially consistent: the store comes before whatever the caller looks at next.
  void set(const CallingThread& me, std::uint32_t count) noexcept {
    word_.exchange(word_of(me, count), std::memory_order_seq_cst);
  }
  // The same from shares to shares, where nothing else has to be looked at.
  void adjust(const CallingThread& me, std::uint32_t count) noexcept {
    word_.store(word_of(me, count), std::memory_order_release);
  }

 private:
  friend struct ReaderTable;
  static std::uint64_t word_of(const CallingThread& me, std::uint32_t count) noexcept {
    return (me.owner & ~std::uint64_t{0} << 32) | count;
  }
  std::atomic<std::uint64_t> word_;
};

// All zero: nobody.
struct ReaderTable {
  static constexpr std::size_t first_chunk = ThreadTable::first_chunk;
  static constexpr std::size_t chunk_count = ThreadTable::most_chunks;
  // Slots 1 to 63 of the thread table have a mark each, the others have this one together.
  static constexpr std::uint32_t common_mark = 63;
  static_assert(common_mark < first_chunk);

  std::atomic<void*> chunks[chunk_count];  // right behind the head of the object
  std::atomic<std::uint64_t> marks;        // who may have an entry that is not 0

  // The calling thread's; nullptr: it never had a share. Never blocks.
  [[nodiscard]] ReaderEntry* find(const CallingThread& me) noexcept {
    const std::uint32_t index = Owner::from(me.owner).slot - 1;
    if (index >= first_chunk) [[unlikely]]
      return find_far(me);
    auto* entries = static_cast<ReaderEntry*>(chunks[0].load(std::memory_order_acquire));
    return entries == nullptr ? nullptr : entries + index;
  }
  // Sets the mark too. Throws OutOfMemory.
  [[nodiscard]] ReaderEntry& get(const CallingThread& me);

  // The living threads that hold shares, as owners' words. Does not fault where the object has
  // gone meanwhile.
  void append_holders(std::vector<std::uint64_t>& out) const;
  // Whether there is one. Clears the entries of the dead.
  [[nodiscard]] bool any() noexcept {
    const std::uint64_t marked = marks.load(std::memory_order_seq_cst);
    return marked != 0 && any_of(marked);
  }
  // The living threads that hold shares. Clears the entries of the dead.
  [[nodiscard]] std::vector<Owner> collect();

 private:
  [[nodiscard]] ReaderEntry* find_far(const CallingThread& me) noexcept;
  [[nodiscard]] bool any_of(std::uint64_t marked) noexcept;
};

}  // namespace procession::detail
