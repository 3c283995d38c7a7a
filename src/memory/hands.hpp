// What a thread is taking out of a place that is not its own, so that nothing is lost between the
// place and its hands.
//
// A block that is in a place (a cell of a queue) belongs to it. Whoever takes it first says from
// where (Hand::from); then changes the state of the place to one that names its process; then makes
// the block the hand's; then sets the place free. Killed anywhere on the way, it leaves either the
// block in the place, untouched, or a hand that the sweep empties.
//
// Example:
//   HeldHand hand;
//   hand->begin(place, taken_by_me, empty_again);
//   if (place.replace(full, block, taken_by_me, block)) hand->close_on(block);
//   ... read the block ...
//   hand->drop();
//
// Invariants:
//   1. `from` is not nullptr from before the place can be in the state `mark` until the place is
//      in the state `after`. Only hands of one process have the same mark for the same place.
//   2. While the place is in the state `mark` the block in it is the place's (home: its word), or
//      already the hand's (home: `block`), whose word names it before its home does.
//   3. Every hand is in a chunk of the chain at ProcessSlot::hands. The sweep of a process first
//      empties its hands.
// The single stores: take: the place's state; have: the home of the block.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/word_pair.hpp"

namespace procession::detail {

// A word that can be the home of a block, and what is said of it. Both change as one (replace).
struct alignas(16) Place {
  std::atomic<std::uint64_t> state;
  std::atomic<void*> block;  // or the value itself, where that fits

  // {state, block} from the one pair of values to the other; false: it is something else.
  // Sequentially consistent.
  bool replace(std::uint64_t state_before, void* block_before, std::uint64_t state_after,
               void* block_after) noexcept {
    pair_release(this);
    const bool done =
        replace_pair(this, state_before, reinterpret_cast<std::uint64_t>(block_before), state_after,
                     reinterpret_cast<std::uint64_t>(block_after));
    pair_acquire(this);
    return done;
  }
};
static_assert(sizeof(Place) == 16);

struct Hand {
  std::atomic<void*> block;  // a home
  std::atomic<Place*> from;
  std::uint64_t mark;
  std::uint64_t after;

  void begin(Place& place, std::uint64_t mark_by_me, std::uint64_t state_after) noexcept;
  // The place was found in another state.
  void give_up() noexcept { from.store(nullptr, std::memory_order_release); }
  // REQUIRES: the place is in the state `mark`, by this hand.
  void close_on(void* taken) noexcept;
  // Frees the block. Can be done twice.
  void drop() noexcept;
};

// One of this process's hands, for a scope. Thread-safe; the first of a process throws OutOfMemory.
class HeldHand {
 public:
  HeldHand();
  ~HeldHand();
  HeldHand(const HeldHand&) = delete;
  HeldHand& operator=(const HeldHand&) = delete;
  Hand* operator->() const noexcept { return hand_; }

 private:
  Hand* hand_;
  unsigned epoch_;  // of the process; the child of a fork has not got it
};

// For the sweep: empties the hands of a dead process and frees them.
void drop_hands(std::uint32_t slot) noexcept;

}  // namespace procession::detail
