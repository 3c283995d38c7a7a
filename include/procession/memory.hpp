// The family memory: its limit and what is in it.
#pragma once

#include <cstddef>

namespace procession {

// All in bytes.
struct MemoryStats {
  std::size_t limit;     // past it: OutOfMemory
  std::size_t reserved;  // in slabs and large blocks
  std::size_t in_use;    // by blocks, what other processes keep included
  std::size_t blocks;    // how many
  std::size_t touched;   // what the machine has given for it
};

// Sets the limit of the family memory; default: the machine's memory, or the environment variable
// PROCESSION_MEMORY_LIMIT (bytes). At most 63 GiB. To be called before the library is first used
// in the root; later: StateError. Thread-safe, never blocks.
void set_memory_limit(std::size_t bytes);

// A picture of the family memory. Thread-safe; costs one look at every block.
[[nodiscard]] MemoryStats memory_stats();

}  // namespace procession
