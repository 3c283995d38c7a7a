// The cells of a queue, and what their states mean.
//
// A ring is an array of cells without more. Its positions are counted from 0 and go round and
// round; position p is in lap p / capacity of its cell. Zeroed memory is a ring without items.
//
//   | state          | the cell's word | what it is                                             |
//   | Empty(lap)     | nullptr         | nothing was put in at that position yet                 |
//   | Word(lap)      | an item         | put in, not taken                                       |
//   | Block(lap)     | home of an item | the same                                                |
//   | Taken(lap, who)| home, until it  | a process is just taking it: for the others, it has     |
//   |                | is the hand's   |                                                         |
//   | Link(lap)      | nullptr         | what follows is in the next ring                        |
//   | Closed(lap)    | nullptr         | nothing will follow                                     |
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/hands.hpp"
#include "procession/detail/queue_core.hpp"

namespace procession::detail {

enum class CellKind : std::uint64_t { Empty, Word, Block, Taken, Link, Closed };

inline constexpr std::uint64_t cell_state(std::uint64_t lap, CellKind kind) noexcept {
  return lap << 4 | static_cast<std::uint64_t>(kind);
}
inline constexpr std::uint64_t taken_state(std::uint64_t lap, std::uint32_t process) noexcept {
  return lap << 28 | static_cast<std::uint64_t>(process & 0xff'ffff) << 4 |
         static_cast<std::uint64_t>(CellKind::Taken);
}
inline constexpr CellKind kind_of(std::uint64_t state) noexcept {
  return static_cast<CellKind>(state & 15);
}

struct Ring {
  static constexpr unsigned first_shift = 6;  // ring 0 has 64 cells
  Place* cells;
  unsigned shift;

  [[nodiscard]] Place& cell(std::uint64_t at) const noexcept {
    return cells[at & ((std::uint64_t{1} << shift) - 1)];
  }
  [[nodiscard]] std::uint64_t lap(std::uint64_t at) const noexcept { return at >> shift; }
};

inline Ring ring_of(const QueueShared& queue, std::uint32_t number) noexcept {
  return {static_cast<Place*>(queue.rings[number].load(std::memory_order_acquire)),
          Ring::first_shift + number};
}

// A place in the order of all items of a queue.
struct Position {
  std::uint32_t ring;
  std::uint64_t at;
  [[nodiscard]] std::uint64_t word() const noexcept {
    return static_cast<std::uint64_t>(ring) << 56 | at;
  }
  static Position from(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word >> 56), word & ((std::uint64_t{1} << 56) - 1)};
  }
};

// What a position is, for whoever comes by.
enum class Finding { Open, Item, Gone, Link, Closed };

// REQUIRES: `at` is not behind the first open position.
inline Finding find_at(const Ring& ring, std::uint64_t at, std::uint64_t& state) noexcept {
  state = ring.cell(at).state.load(std::memory_order_acquire);
  const CellKind kind = kind_of(state);
  if (kind == CellKind::Taken || state >> 4 != ring.lap(at)) return Finding::Gone;
  switch (kind) {
    case CellKind::Empty:
      return Finding::Open;
    case CellKind::Link:
      return Finding::Link;
    case CellKind::Closed:
      return Finding::Closed;
    default:
      return Finding::Item;
  }
}

}  // namespace procession::detail
