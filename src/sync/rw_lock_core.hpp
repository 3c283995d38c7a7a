// Many readers or one writer: what RWLock is made of. Invariants: rw_lock_core.cpp.
//
// The functions are thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"
#include "sync/lock_attempt.hpp"
#include "sync/reader_table.hpp"

namespace procession::detail {

struct RWLockShared {
  Object head;
  ReaderTable readers;
  LockCore writer;
  std::atomic<std::uint32_t> drained;  // counts what a writer that waits for readers must see
};

// As much of a Request as concerns the callers.
struct Limit {
  Patience patience;
  TimePoint deadline{};
};

// Block within the limit; false: it has passed. Throw OwnerDied; without a limit DeadlockError.
[[nodiscard]] bool rw_lock(RWLockShared& lock, const Limit& limit);
[[nodiscard]] bool rw_lock_shared(RWLockShared& lock, const Limit& limit);  // and StateError
// Never block. Throw StateError.
void rw_unlock(RWLockShared& lock);
void rw_unlock_shared(RWLockShared& lock);
// Blocks. Throws DeadlockError.
bool rw_recover(RWLockShared& lock);
// Never blocks.
[[nodiscard]] bool rw_is_taken(RWLockShared& lock);

}  // namespace procession::detail
