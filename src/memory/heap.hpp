// Blocks: small ones in slabs of equal blocks, each slab owned by one process; large ones as page
// runs of their own.
//
// A block is 16 bytes of BlockHeader and then its memory. Whether it is in use is one bit of its
// slab (for a large block: the run's word). Only the owner of a slab takes blocks from it, so
// nothing is shared on the way; anybody may give one back.
//
// Invariants:
//   1. A bit of Slab::free is set exactly while its block is free; a free block's header is
//      nobody's.
//   2. A block in use belongs to the owner of its slab while `home` is 0. While home is an
//      address and the word there is the block, it belongs to whoever owns that word. While home
//      is `counted` it is an object, alive as long as it has references.
//   3. The owner of a slab clears a block's header before it clears the block's bit.
//   4. Blocks that a process keeps for itself for its next allocations are in use with home 0,
//      in slabs of its own: a sweep finds them.
// The single stores: take: the bit; give back: the bit (a large block: the run's word); hand
// over: the word at `home`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "procession/detail/memory.hpp"

namespace procession::detail {

struct ReferenceList;  // references.hpp

struct BlockHeader {
  static constexpr std::uint64_t address_bits = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint64_t counted = 1;  // home of an object with references
  static constexpr std::uint64_t dying = 2;    // home of an object without

  std::uint64_t home_and_kind;    // home in the low 48 bits, BlockKind above
  std::atomic<void*> references;  // ReferenceList, or nullptr

  [[nodiscard]] std::atomic_ref<std::uint64_t> word() noexcept {
    return std::atomic_ref<std::uint64_t>(home_and_kind);
  }
  [[nodiscard]] std::uint64_t home() noexcept {
    return word().load(std::memory_order_acquire) & address_bits;
  }
  [[nodiscard]] BlockKind kind() noexcept {
    return static_cast<BlockKind>(word().load(std::memory_order_acquire) >> 56);
  }
  [[nodiscard]] static std::uint64_t pack(std::uint64_t home, BlockKind kind) noexcept {
    return home | static_cast<std::uint64_t>(kind) << 56;
  }
};
static_assert(sizeof(BlockHeader) == 16);

inline BlockHeader& header_of(const void* block) noexcept {
  return const_cast<BlockHeader*>(static_cast<const BlockHeader*>(block))[-1];
}

struct Slab {
  std::uint32_t block_bytes;  // header included
  std::uint32_t count;
  std::uint32_t first;  // offset of the first block's header
  std::uint32_t words;
  std::atomic<std::uint64_t> free[1];  // `words` of them
};

// allocate() for callers that may be making the family just now.
[[nodiscard]] void* allocate_block(std::size_t bytes, BlockKind kind);

// The block in use that contains `address`, or nullptr.
[[nodiscard]] void* find_block(const void* address) noexcept;

// Returns a block whose home is `expected_home` and leaves any other alone; what a log replays.
void return_dying_block(void* block) noexcept;
// hand_over() to a home that may have got a block meanwhile: then false, and nothing is changed.
[[nodiscard]] bool hand_over_first(void* block, std::atomic<void*>& home) noexcept;

void set_block_kind(void* block, BlockKind kind) noexcept;

// Whether that is a block in use with that home.
[[nodiscard]] bool has_home(void* block, const std::atomic<void*>& home) noexcept;
// For the sweep: frees the block if it still has that home.
void deallocate_if_home(void* block, const std::atomic<void*>& home) noexcept;

// The block is to belong to whoever owns the word at `home`, as soon as that names it. Until then
// it is the allocating process's.
void set_home(void* block, const std::atomic<void*>& home) noexcept;

// True when the block is reachable although its slab's owner is dead (invariant 2).
[[nodiscard]] bool reachable(void* block) noexcept;

// Calls visit(block) for every block in use in the run.
template <class Visit>
void for_each_block(std::size_t page, Visit visit);

// What this process keeps for its next allocations (invariant 4).
struct KeptBlocks {
  std::size_t blocks, bytes;
};
[[nodiscard]] KeptBlocks kept_blocks() noexcept;

// In the child of a fork: the parent's slabs are not ours.
void forget_inherited_heap() noexcept;
void lock_heap_for_fork() noexcept;
void unlock_heap_after_fork() noexcept;

}  // namespace procession::detail

#include "memory/heap_walk.hpp"
