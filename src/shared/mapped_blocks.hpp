// The blocks of shared memory that this process has handles to, and where it has mapped them.
//
// Invariants:
//   1. An object has an entry here exactly while this process has handles to it; the entry counts
//      them. So an object that takes a former one's address never meets its entry.
//   2. What is mapped stays where it is until it is closed or the entry goes.
//   3. What was closed stays so as long as the entry is there.
// Thread-safe. A forked child has the entries and mappings of its parent.
#pragma once

#include <limits.h>

#include <cstddef>
#include <cstdint>

#include "process/shared_names.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// The object that handles name. Written once, before anybody else knows it. It carries a ticket
// (process/descriptor_keeper.hpp): the keeper has the file's descriptor as long as the object
// lives, for processes that meet it when the name is gone.
struct BlockShared {
  Object head;
  std::uint64_t number;  // of the descriptor; 0: nobody keeps it
  std::uint64_t size;
  FileIdentity file;
  char name[NAME_MAX + 1];
};

inline BlockShared& block_of(Object* object) noexcept {
  return *reinterpret_cast<BlockShared*>(object);
}

// The first handle of this process, to a new object; unmaps it if it throws. Throws std::bad_alloc.
void enter_block(Object* block, std::byte* mapped);

// Maps it if it is not. Throws StateError, SystemError.
[[nodiscard]] std::byte* mapped_block(Object* block);

void close_block(Object* block) noexcept;

// All of the file, shared. Throws SystemError.
[[nodiscard]] std::byte* map_file(int file, const BlockShared& block);

}  // namespace procession::detail
