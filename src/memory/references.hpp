// Who holds which object.
//
// A process counts its own handles in private memory; only its first and its last handle to an
// object change the family memory: they enter the object in the process's *ledger*, or strike it
// out. A block that carries handles (a task on its way) has a ReferenceList in the same manner.
//
// Invariants:
//   1. Object::references = entries naming it in all ledgers + entries in all reference lists.
//      Both change in one logged transaction, so this holds whenever no transaction is open.
//   2. An object's block has home `counted` while references > 0. The transaction that takes the
//      last one sets home `dying` and returns the block.
//   3. Who adds a reference holds one already, in its own ledger or in a block that it owns. So
//      an object without references can not come back.
//   4. So an object with one reference is that holder's alone. What belongs to an object (blocks
//      at its homes, references that it carries) is freed before the last reference is struck
//      out, by who is about to: a death in between leaves the rest to whoever sweeps the holder.
// The single store: LoggedMutex::committed_ of the object's shard.
#pragma once

#include <atomic>
#include <cstdint>

#include "procession/detail/memory.hpp"

namespace procession::detail {

struct LedgerChunk {
  static constexpr std::size_t entries = 30;
  std::atomic<void*> next;
  std::uint64_t objects[entries];  // Object*, or 0
};

struct ReferenceList {
  static constexpr std::size_t entries = 6;
  std::atomic<void*> next;
  std::uint64_t objects[entries];
};

// What else is done when a handle to an object of that kind is sent; may throw. Set once, during
// static initialisation, by the layer that has such objects.
using CarryHook = void (*)(void* block, Object* object);
void set_carry_hook(ObjectKind kind, CarryHook hook) noexcept;

// Strikes out everything in the block's reference list, and frees the list.
void drop_references(void* block) noexcept;

// Gives the process that will own `slot` a reference to everything that this process holds.
// Throws OutOfMemory. REQUIRES: lock_ledger_for_fork().
void copy_ledger_to(std::uint32_t slot);
void lock_ledger_for_fork() noexcept;
void unlock_ledger_after_fork() noexcept;
// In the child: its private counts, copied with its memory, refer to its own ledger from now on.
void take_over_ledger() noexcept;
// In a child that starts without its maker's handles.
void forget_inherited_ledger() noexcept;

// For the sweep: strikes out a dead process's ledger and frees it.
void drop_ledger(std::uint32_t slot) noexcept;
// Replays what any dead process had committed.
void settle_transactions() noexcept;

}  // namespace procession::detail
