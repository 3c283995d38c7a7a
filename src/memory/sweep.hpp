// What is done with the belongings of a process that is gone.
//
// Every step is idempotent, and the whole is under sweep_mutex: whoever follows a dead sweeper
// does it again. A sweep costs in proportion to what the dead process had, plus one look at
// every page run.
#pragma once

#include <cstdint>

#include "memory/robust_mutex.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// Holds sweep_mutex, after it has finished what a dead holder left undone. The only way to take it.
class SweepGuard {
 public:
  SweepGuard() noexcept;

 private:
  RobustGuard guard_;
};

// Sweeps one process that its reaper knows to be gone. Does nothing when the slot has another
// generation by now.
void sweep_process(std::uint32_t index, std::uint32_t generation) noexcept;

// Looks at every member and sweeps those that the kernel says are gone. True: there were some.
bool sweep_dead_processes() noexcept;

// The parent has read what became of the process; also takes back a slot that never was joined.
void collect_slot(std::uint32_t index, std::uint32_t generation) noexcept;

// What is done with a block of a kind, besides freeing it, when nobody reaches it any more. Can be
// done twice. Set once, during static initialisation, by the layer that makes such blocks.
using BlockFinalizer = void (*)(void* block) noexcept;
void set_block_finalizer(BlockKind kind, BlockFinalizer finalizer) noexcept;
void finalize(void* block) noexcept;

}  // namespace procession::detail
