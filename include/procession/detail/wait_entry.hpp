// One of the things that a wait() is for, whatever it is.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "procession/detail/deadline.hpp"

namespace procession::detail {

class BatchState;
struct EventShared;
struct Object;
struct QueueShared;
struct WaitOperations;

// The thing itself outlives it.
struct WaitEntry {
  int descriptor = -1;  // where it has one: ready when it is readable
  const WaitOperations* operations = nullptr;
  void* object = nullptr;
  std::shared_ptr<const void> keeps = nullptr;  // the descriptor
};

// Throws StateError for an end that only sends, or is closed.
[[nodiscard]] WaitEntry connection_entry(Object* connection);
[[nodiscard]] WaitEntry queue_entry(QueueShared& queue) noexcept;
[[nodiscard]] WaitEntry event_entry(EventShared& event) noexcept;
// Throws StateError in another process than the pool's.
[[nodiscard]] WaitEntry result_entry(BatchState& batch);
// Throws std::invalid_argument for a number below zero.
[[nodiscard]] WaitEntry descriptor_entry(int descriptor);

// Blocks until one or more are ready: which, ascending. None: the deadline has passed.
[[nodiscard]] std::vector<std::size_t> wait_any(std::span<const WaitEntry> entries,
                                                TimePoint deadline);

}  // namespace procession::detail
