// The family memory as templates and the upper layers see it.
//
// One sealed memfd per family, mapped at the same address in every process of the family, never
// unmapped while the process lives. What is allocated here is a *block*; what handles name is an
// *object*, a block that begins with an Object header and is counted.
//
// Example:
//   void* block = allocate(sizeof(Item));          // private to this process until handed over
//   auto* item = new (block) Item{...};
//   hand_over(block, slot);                        // the one store that gives it to `slot`
//
// Every function may be called from any thread of any process of the family. None blocks for
// longer than another process's allocation of a page run.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace procession::detail {

// TSan accepts application memory only above 0x7e8000000000; AddressSanitizer's shadow covers
// the range that suits everything else, but not this one.
#if defined(__SANITIZE_THREAD__)
inline constexpr std::uintptr_t family_base = 0x7e9000000000;
#else
inline constexpr std::uintptr_t family_base = 0x200000000000;
#endif
inline constexpr std::size_t family_reserve = std::size_t{64} << 30;

// True when `address` lies in the range reserved for the family memory.
inline bool in_family(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) - family_base < family_reserve;
}

// What the sweep of a dead process must do with the block beyond freeing it.
enum class BlockKind : std::uint8_t { Plain, Object, Batch, Ring, Deposit };

// A block of at least `bytes`, 16-byte aligned (64 when bytes >= 64), owned by this process: it
// is reclaimed if this process dies before hand_over. Throws OutOfMemory.
[[nodiscard]] void* allocate(std::size_t bytes, BlockKind kind = BlockKind::Plain);

// Gives a block back, with the handle references it carries. Any process may free any block that
// it has been given.
void deallocate(void* block) noexcept;

// Usable bytes of the block.
[[nodiscard]] std::size_t block_size(const void* block) noexcept;

// Publishes `block` in `home`, which lies in the family memory: from this store on the block
// belongs to whoever owns the memory around `home`, and outlives this process.
void hand_over(void* block, std::atomic<void*>& home) noexcept;

enum class ObjectKind : std::uint16_t {
  Lock = 1,
  Event,
  Value,
  Test,
  RLock,
  RWLock,
  Semaphore,
  BoundedSemaphore,
  Condition,
  Barrier,
  Queue,
  Array,
  Connection,
  Ticket,
  SharedMemory
};

// Head of every shared object. `references` counts the processes that hold at least one handle
// plus the blocks that carry one; it changes only in a logged transaction (memory/references).
// Right behind the head are `homes` words of the type std::atomic<void*>: a block that is handed
// over to one of them is the object's, and goes away with it.
struct Object {
  std::uint32_t magic;
  ObjectKind kind;
  std::uint16_t homes;
  std::uint64_t references;
  char name[32];  // for diagnostics; truncated, always terminated
};

// A new object of `bytes` (header included), with one reference held by this process. The bytes
// after the header are zero. Throws OutOfMemory. REQUIRES: room for the homes in `bytes`.
[[nodiscard]] Object* create_object(ObjectKind kind, std::size_t bytes, std::string_view name,
                                    std::uint16_t homes = 0);

// One more, one fewer handle in this process. Only the first and the last of a process touch
// the shared count. The object goes away with its last reference anywhere. retain throws
// OutOfMemory, and only for the first handle of this process. REQUIRES: this process, or a block
// that it may read, holds a reference already.
void retain(Object* object);
void release(Object* object) noexcept;

// The live object whose block contains `address`, or nullptr. Never faults for an address inside
// the family memory.
[[nodiscard]] Object* object_at(const void* address) noexcept;

// Lets `block` carry a reference to `object`, until the block is freed. The caller holds a
// handle to the object and owns the block; an object that carries one must be new, and known to
// nobody else. Throws OutOfMemory.
void carry_reference(void* block, Object* object);

// The same for a handle that is sent: with it goes what else the other process needs. Throws what
// the kind of object has to say, besides.
void carry_handle(void* block, Object* object);

}  // namespace procession::detail
