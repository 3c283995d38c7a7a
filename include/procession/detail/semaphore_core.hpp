// What Semaphore and BoundedSemaphore are made of: a counted word, and who holds how much of it.
//
// The functions below are thread-safe. Invariants: src/sync/permits.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "procession/detail/deadline.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// What the holder of the guard is about to do to an entry.
struct PermitLog {
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint32_t count;
  std::uint32_t tag;
  std::atomic<std::uint32_t> active;
};

struct SemaphoreShared {
  static constexpr std::size_t chunk_count = 18;
  Object head;
  std::atomic<void*> chunks[chunk_count];  // homes: entries, by the number of the thread's slot
  std::atomic<std::uint64_t> word;
  std::uint32_t most;                  // what the value never exceeds
  std::atomic<std::uint32_t> tracked;  // 1: there may be entries
  PermitLog log;
  LockCore guard;
};

// A permit that is only counted, or one that belongs to the calling thread.
enum class Permit { Bare, Tracked };

// A new object. Throws std::invalid_argument for a start value below 0, OutOfMemory.
[[nodiscard]] Object* create_semaphore(ObjectKind kind, int value, std::uint32_t most,
                                       std::string_view name);

// Blocks.
void semaphore_acquire(SemaphoreShared& shared, Permit permit);
// Blocks until `deadline`; false: it has passed.
[[nodiscard]] bool semaphore_acquire_until(SemaphoreShared& shared, Permit permit,
                                           TimePoint deadline);
[[nodiscard]] bool semaphore_try_acquire(SemaphoreShared& shared, Permit permit);
// Gives back what the calling thread holds, up to `count`; the rest is bare. Throws StateError.
void semaphore_release(SemaphoreShared& shared, int count);
// Gives back what the calling thread holds; then what others hold; the rest is bare. Throws
// StateError.
void semaphore_release_tracked(SemaphoreShared& shared, int count);
[[nodiscard]] int semaphore_value(SemaphoreShared& shared);

}  // namespace procession::detail
