// A value of any size, read and replaced as a whole although processes are killed in the middle.
//
// There are two copies: `current`, the value itself, and `staged`, on its way. A store writes
// `staged`, publishes it with one store of `sequence`, copies it to `current` and publishes that.
//
// Invariants:
//   1. `sequence` even: `current` is whole and nobody writes it here; `staged` means nothing.
//   2. `sequence` odd: `staged` is whole and nobody writes it; `current` may be half copied.
//   3. Only the owner of `writer` writes either copy or `sequence`. Who becomes its owner and
//      finds `sequence` odd first finishes the copy of a writer that died.
// The single store: `sequence` from even to odd.
//
// Readers never block and never wait for a writer; they look again if a store went by meanwhile.
// `current` can also be changed in place (Value::value, with_lock): that is between its callers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

struct WideValue {
  std::atomic<std::uint64_t> sequence;
  LockCore writer;
};

// The two copies: `words` words of 8 bytes each.
struct WideCopies {
  std::uint64_t* current;
  std::uint64_t* staged;
  std::size_t words;
};

// Thread-safe. `bytes` of the value, at most 8 * words, are written to `to`.
void wide_load(const WideValue& value, const WideCopies& copies, void* to, std::size_t bytes);
// Thread-safe. Blocks while another store is under way. Throws OutOfMemory (first use in a thread).
void wide_store(WideValue& value, const WideCopies& copies, const Object& named, const void* from,
                std::size_t bytes);
// Makes `current` whole for use in place. Blocks as wide_store does, and only while one is under
// way or was interrupted.
void wide_settle(WideValue& value, const WideCopies& copies, const Object& named);

}  // namespace procession::detail
