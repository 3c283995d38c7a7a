// Calls on their way through a pool, as templates and the compiled core share them.
//
// A *batch* is one callable with one or more items, cut in chunks; a worker takes a chunk at a
// time. apply is a batch of one. It is one block of the family memory: this header, a small
// control area or a pointer to a large one, the encoded callable, the items.
//
// Invariants:
//   1. A chunk's state goes Pending -> Running(worker) by the worker's compare-exchange, Running
//      -> Done by that worker's store; Running -> Pending or Done by the pool, once the kernel
//      has said that the worker is dead; Pending -> Done by the pool (cancelled, dropped).
//   2. An item's status is None until its result is whole; then it never changes. The worker that
//      has its chunk stores it, or the pool after that worker's death.
//   3. Before a worker runs an item it writes batch, chunk and item into its slot; before it
//      looks at a batch at all it writes the batch (a hazard pointer): the pool does not free
//      a batch that a slot names.
//   4. `done` and `next` are hints. What is done is what the states say.
// The single stores: take: the compare-exchange of the chunk's state; complete an item: its
// status; complete a chunk: its state.
//
//   | chunk   | worker takes  | worker ends   | worker dies          | cancel, drop        |
//   | Pending | Running       | -             | -                    | Done, items Dropped |
//   | Running | refused       | Done          | Pending, or Done     | worker is killed    |
//   | Done    | refused       | -             | -                    | -                   |
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "procession/detail/bytes_kind.hpp"
#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"

namespace procession::detail {

enum class ItemStatus : std::uint8_t { None, Value, Error, Lost, Failing, Dropped };

// How an item's result lies in its slot.
enum class ResultKind : std::uint8_t { None, Flat, Boxed };

struct Batch {
  static constexpr std::uint32_t pending = 0;
  static constexpr std::uint32_t finished = 1;
  static constexpr std::uint32_t running(std::uint32_t worker) { return worker + 2; }

  CodeAddress entry;       // a ChunkEntry
  std::uint64_t bytes;     // of the block
  std::uint64_t payload;   // offset of the callable
  std::uint64_t items_at;  // offset of the first item, or of the offsets
  std::uint32_t items;
  std::uint32_t chunk_items;
  std::uint32_t chunks;
  std::uint32_t item_stride;  // 0: items_at is a table of offsets
  std::uint32_t result_stride;
  ResultKind result_kind;
  std::uint8_t stop_on_error;           // map: the first failure drops what is not begun
  std::uint8_t stamped;                 // imap_unordered wants the order of completion
  std::uint8_t timed;                   // the pool wants to know when items begin
  std::atomic<std::uint32_t>* states;   // one for each chunk
  std::atomic<std::uint8_t>* statuses;  // one for each item
  std::byte* results;
  void* control;       // block of the three, or nullptr: they follow
  void* owner;         // BatchState, an address of the pool's process
  std::uint64_t cell;  // its last place in the ring

  alignas(64) std::atomic<std::uint64_t> next;  // below: first chunk that may be pending; above:
                                                // how often the pool has lowered it
  std::atomic<std::uint32_t> dropped;           // nothing more is begun
  std::atomic<std::uint32_t> done;              // chunks
  std::atomic<std::uint32_t> eager;             // wake for every chunk
  std::atomic<std::uint32_t> waiters;
  std::atomic<std::uint32_t> event;  // futex of who waits for the batch
  std::atomic<std::uint64_t> stamp;
};

inline constexpr std::uint32_t most_chunk_items = 1U << 30;
inline constexpr std::uint32_t small_batch = 64;  // items; up to here control follows the header

constexpr std::size_t control_bytes(std::size_t items, std::size_t chunks, std::size_t stride) {
  return ((chunks * 4 + items + 15) & ~std::size_t{15}) + items * stride;
}
constexpr std::size_t batch_prefix(std::size_t items, std::size_t chunks, std::size_t stride) {
  const std::size_t control = items <= small_batch ? control_bytes(items, chunks, stride) : 0;
  return (sizeof(Batch) + control + 15) & ~std::size_t{15};
}

// A slot holds a flat result, or a pointer (boxed results, exceptions).
template <class R>
struct ResultOf {
  static constexpr ResultKind kind = ResultKind::Boxed;
  static constexpr std::uint32_t stride = 8;
};
template <>
struct ResultOf<void> {
  static constexpr ResultKind kind = ResultKind::None;
  static constexpr std::uint32_t stride = 8;
};
template <class R>
requires(bytes_kind<R> == BytesKind::Plain && alignof(R) <= 16 && sizeof(R) <= 256 &&
         std::is_trivially_copyable_v<R>) struct ResultOf<R> {
  static constexpr ResultKind kind = ResultKind::Flat;
  static constexpr std::uint32_t stride =
      alignof(R) == 16 ? (sizeof(R) + 15) / 16 * 16 : (sizeof(R) + 7) / 8 * 8;
};

// One chunk as the worker runs it.
class ChunkRun {
 public:
  ChunkRun(Batch& batch, std::uint32_t begin, std::uint32_t end, void* worker)
      : batch_(batch), begin_(begin), end_(end), worker_(worker) {}

  [[nodiscard]] Reader callable() const {
    return {reinterpret_cast<std::byte*>(&batch_), batch_.bytes, batch_.payload};
  }
  [[nodiscard]] const std::byte* flat_item(std::uint32_t item) const {
    return reinterpret_cast<std::byte*>(&batch_) + batch_.items_at +
           std::size_t{item} * batch_.item_stride;
  }
  [[nodiscard]] Reader item(std::uint32_t item) const {
    const auto* offsets = reinterpret_cast<const std::uint64_t*>(
        reinterpret_cast<std::byte*>(&batch_) + batch_.items_at);
    return {reinterpret_cast<std::byte*>(&batch_), batch_.bytes, offsets[item]};
  }
  [[nodiscard]] std::byte* slot(std::uint32_t item) const {
    return batch_.results + std::size_t{item} * batch_.result_stride;
  }
  void give(std::uint32_t item, Writer& result);  // a boxed result

  // Calls run(context, item) for every item that has no status yet. An exception costs its own
  // item: it is written down, and the next item follows.
  void each(void (*run)(void* context, std::uint32_t item), void* context);

 private:
  Batch& batch_;
  std::uint32_t begin_, end_;
  void* worker_;  // WorkerSlot
};

using ChunkEntry = void (*)(ChunkRun&);

// A batch about to be submitted.
struct BatchPlan {
  const void* entry;  // a ChunkEntry
  std::uint32_t items = 1;
  std::uint32_t chunk_items = 1;
  std::uint32_t item_stride = 0;
  std::uint32_t result_stride = 8;
  ResultKind result_kind = ResultKind::Boxed;
  bool stop_on_error = false;
  bool stamped = false;
  std::uint64_t payload = 0;
  std::uint64_t items_at = 0;

  [[nodiscard]] std::uint32_t chunks() const {
    return static_cast<std::uint32_t>((std::uint64_t{items} + chunk_items - 1) / chunk_items);
  }
};

}  // namespace procession::detail
