// What a Condition is made of. Invariants: src/sync/condition.cpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "procession/detail/deadline.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// Whose notification is about to go to whom.
struct NotificationLog {
  std::uint32_t from;  // slot
  std::uint32_t to;
  std::uint64_t ticket;
  std::atomic<std::uint32_t> active;
};

struct ConditionShared {
  static constexpr std::size_t chunk_count = 18;
  Object head;
  std::atomic<void*> chunks[chunk_count];  // homes: waiters, by the number of the thread's slot
  LockShared* lock;                        // the object carries a reference to it
  std::uint32_t recursive;                 // it is an RLock
  std::uint64_t next_ticket;
  LockCore guard;
  NotificationLog log;
};

// The object holds the lock as long as it lives. Throws OutOfMemory.
[[nodiscard]] Object* create_condition(Object* lock, bool recursive, std::string_view name);

// Blocks. Throws OwnerDied, StateError.
[[nodiscard]] bool condition_wait(ConditionShared& shared, TimePoint deadline);
void condition_notify(ConditionShared& shared, std::size_t count);

void condition_lock(ConditionShared& shared);
[[nodiscard]] bool condition_lock_until(ConditionShared& shared, TimePoint deadline);
[[nodiscard]] bool condition_try_lock(ConditionShared& shared);
void condition_unlock(ConditionShared& shared);
[[nodiscard]] bool condition_recover(ConditionShared& shared);

}  // namespace procession::detail
