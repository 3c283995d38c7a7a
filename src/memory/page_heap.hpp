// Runs of 64 KiB pages: what slabs and large blocks are made of.
//
// One descriptor word for each page. A run's first word says what the run is, the others that
// they are inside it. Walking from page 0 by the lengths in the first words visits every run.
//
// Invariants:
//   1. Below `top`, runs follow each other without gap; at and above `top` nothing is used.
//   2. The first word of a run changes only under page_mutex, but for its owner and its kind
//      (Slab or Large), which its owner, or the sweeper of a dead owner, may store.
//   3. What a run begins with (a Slab, a BlockHeader) is whole before its first word says so.
//   4. Words inside a Slab or Large run say Inside. Words inside a Free run mean nothing.
//   5. `hint` is the first page of a run, and no free run begins below it.
//   6. `orphans` of a size class is not 0 while a slab of that class has no owner, but during an
//      adoption or a sweep. Every sweep ends by making it so, also that of a killed adopter.
// The single stores: take from a free run: the run's first word (the rest of it was described
// before); take at the end: `top`; give back: the first word; merge two free runs: the first's.
// A holder of page_mutex that dies between two of them leaves nothing to repair.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace procession::detail {

enum class PageKind : std::uint8_t { Unused, Free, Slab, Large, Inside };

// owner: index in the process table, 0 = nobody. For Inside, `pages` is the distance to the first.
struct PageRun {
  PageKind kind;
  std::uint8_t size_class;
  std::uint32_t owner;
  std::uint32_t pages;

  [[nodiscard]] std::uint64_t word() const noexcept {
    return static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(size_class) << 8 |
           static_cast<std::uint64_t>(owner & 0xffffff) << 16 |
           static_cast<std::uint64_t>(pages & 0xffffff) << 40;
  }
  static PageRun from(std::uint64_t word) noexcept {
    return {static_cast<PageKind>(word & 0xff), static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint32_t>(word >> 16 & 0xffffff),
            static_cast<std::uint32_t>(word >> 40 & 0xffffff)};
  }
};

std::atomic<std::uint64_t>& page_word(std::size_t page) noexcept;
void* page_address(std::size_t page) noexcept;

// REQUIRES: `address` at or above heap_begin, in the family memory. Page number of the run that
// holds it, and the run; kind Unused or Free when nothing does.
struct FoundRun {
  std::size_t page;
  PageRun run;
};
[[nodiscard]] FoundRun find_run(const void* address) noexcept;

// Writes what must be there before anybody can find the run.
using PreparePages = void (*)(void* begin, const PageRun& run) noexcept;

// A run as described, its owner this process. Throws OutOfMemory.
[[nodiscard]] std::size_t take_pages(PageKind kind, std::uint8_t size_class, std::size_t pages,
                                     PreparePages prepare);
void give_pages(std::size_t page) noexcept;

// Calls visit(page, run) for every run in use. The visitor must not take or give pages.
template <class Visit>
void for_each_run(Visit visit);

// A slab that a dead process left, of this size class, now owned by this process: its page number
// + 1; or 0.
[[nodiscard]] std::size_t adopt_orphan(std::uint8_t size_class) noexcept;

// Makes invariant 6 hold; the last step of a sweep.
void announce_orphans() noexcept;

}  // namespace procession::detail

#include "memory/page_heap_walk.hpp"
