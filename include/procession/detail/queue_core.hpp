// What a Queue is made of, and the part of its work that does not depend on the type of its items.
//
// Invariants: src/channel/queue_core.cpp. The functions are thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "procession/detail/deadline.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

// Of those who wait for the same; nothing depends on them.
struct SpinHints {
  std::atomic<std::uint32_t> learned;  // what a spin is worth (adaptive_spin.hpp)
  std::atomic<std::uint32_t> at;       // the position at which somebody waited last
};

struct QueueShared {
  static constexpr std::size_t ring_count = 26;
  Object head;
  std::atomic<void*> rings[ring_count];  // homes; ring k has 64 << k cells
  std::atomic<std::uint64_t> bases[ring_count];
  std::uint64_t maxsize;  // 0: none
  std::uint32_t joinable;
  alignas(64) std::atomic<std::uint64_t> tail;   // hint
  std::atomic<std::uint64_t> limit;              // of those who put; a hint
  alignas(64) std::atomic<std::uint64_t> first;  // hint
  alignas(64) std::atomic<std::uint32_t> items;  // futexes
  std::atomic<std::uint32_t> space;
  std::atomic<std::uint32_t> finished;
  SpinHints items_spin, space_spin, finished_spin;
  std::atomic<std::uint64_t> done;
};

// One item, as it lies in the queue: up to 8 bytes themselves, or a block of the family memory.
struct QueueItem {
  void* bits;
  bool in_block;
};

// The item that a get has taken. Its block is freed with it, also when this process dies.
class TakenItem {
 public:
  TakenItem() noexcept = default;
  ~TakenItem();
  TakenItem(const TakenItem&) = delete;
  TakenItem& operator=(const TakenItem&) = delete;
  [[nodiscard]] const void* block() const noexcept { return bits_; }
  [[nodiscard]] void* bits() const noexcept { return bits_; }

 private:
  friend struct QueueAccess;
  void* bits_ = nullptr;
  alignas(8) unsigned char hand_[16];  // a HeldHand, where there is a block
  bool held_ = false;
};

enum class QueueOutcome { Done, TimedOut, Closed };

inline constexpr TimePoint at_once = TimePoint::min();

[[nodiscard]] Object* create_queue(std::size_t maxsize, bool joinable, std::string_view name);

// Blocks until `deadline`. Done: the item is the queue's; its block is not the caller's any more.
// Throws OutOfMemory.
[[nodiscard]] QueueOutcome queue_put(QueueShared& queue, QueueItem item, TimePoint deadline);
// `blocks`: the items are in blocks.
[[nodiscard]] QueueOutcome queue_get(QueueShared& queue, TakenItem& item, bool blocks,
                                     TimePoint deadline);

void queue_close(QueueShared& queue);
[[nodiscard]] std::size_t queue_size(QueueShared& queue);
[[nodiscard]] bool queue_full(QueueShared& queue);

void queue_task_done(QueueShared& queue);  // throws StateError
// False: the deadline has passed.
[[nodiscard]] bool queue_join(QueueShared& queue, TimePoint deadline);

[[noreturn]] void throw_queue_empty(const QueueShared& queue);
[[noreturn]] void throw_queue_full(const QueueShared& queue);
[[noreturn]] void throw_queue_closed(const QueueShared& queue, bool putting);

}  // namespace procession::detail
