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
  static constexpr std::uint32_t off = 0;
  static constexpr std::uint32_t wanted = 0xffffffff;
  static constexpr std::uint32_t running(std::uint32_t worker) { return worker + 2; }

  CodeAddress entry;          // a ChunkEntry
  std::uint64_t bytes;        // of the block
  std::uint64_t payload;      // offset of the callable
  const std::byte* items_at;  // the first item, in this block or an Array; or the offsets
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
  void* lane;          // where it waits, and
  std::uint64_t cell;  // its last place there

  alignas(64) std::atomic<std::uint64_t> next;  // below: first chunk that may be pending; above:
                                                // how often the pool has lowered it
  std::atomic<std::uint32_t> dropped;           // nothing more is begun
  std::atomic<std::uint32_t> troubled;          // said before any item gets a status but Value
  std::atomic<std::uint32_t> done;              // chunks
  std::atomic<std::uint32_t> eager;             // wake for every chunk
  std::atomic<std::uint32_t> waiters;
  std::atomic<std::uint32_t> event;  // futex of who waits for the batch
  std::atomic<std::uint64_t> stamp;
  std::atomic<std::uint32_t> notify;  // Off, Wanted, or the pid of who puts it in the inbox
  std::atomic<Batch*> next_done;      // in the inbox
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

inline constexpr std::uint32_t no_item = 0xffffffff;

// What a worker says of the item in hand, in its slot.
struct ItemInHand {
  std::atomic<std::uint32_t> item;   // written before it is run; no_item: none
  std::atomic<std::uint64_t> began;  // of a timed item, nanoseconds
  std::atomic<std::uint64_t> tasks;  // how many it has done
  std::atomic<std::uint64_t> failed;
  std::uint64_t calls_left;  // the worker's own: then it ends, to be replaced
};

// One chunk as the worker runs it. The loop over the items is compiled with the call: where that
// is short, nothing else is between one item and the next but the four stores that the invariants
// ask for.
class ChunkRun {
 public:
  ChunkRun(Batch& batch, std::uint32_t begin, std::uint32_t end, ItemInHand& hand)
      : batch_(batch), statuses_(batch.statuses), hand_(hand), begin_(begin), end_(end) {}

  [[nodiscard]] Reader callable() const {
    return {reinterpret_cast<std::byte*>(&batch_), batch_.bytes, batch_.payload};
  }
  [[nodiscard]] const std::byte* flat_item(std::uint32_t item) const {
    return batch_.items_at + std::size_t{item} * batch_.item_stride;
  }
  [[nodiscard]] Reader item(std::uint32_t item) const {
    const auto* offsets = reinterpret_cast<const std::uint64_t*>(batch_.items_at);
    return {reinterpret_cast<std::byte*>(&batch_), batch_.bytes, offsets[item]};
  }
  [[nodiscard]] std::byte* slot(std::uint32_t item) const {
    return batch_.results + std::size_t{item} * batch_.result_stride;
  }
  void give(std::uint32_t item, Writer& result);  // a boxed result

  // Calls run(item) for every item that has no status yet. An exception costs its own item: it is
  // written down, and the next item follows.
  template <class Run>
  void each(Run run) {
    loop([&] { go_on<true>(run); });
    hand_.item.store(no_item, std::memory_order_release);
  }

  // The same for items that have one result: run(item) for all, and then give_one(first item). An
  // exception costs the chunk.
  template <class Run, class Give>
  void together(Run run, Give give_one) {
    // Where the first item has a status, a worker died when it was done: only the others' are
    // missing.
    one_result_ = true;
    if (!is_done(begin_)) {
      loop([&] {
        go_on<false>(run);
        // Its own failure, or death, is the first item's: that is where the result lies.
        next_ = begin_;
        hand_.item.store(next_, std::memory_order_release);
        give_one(next_);
        set(next_, ItemStatus::Value);  // and so the result is there
        next_ = end_;
      });
    }
    end_together();
  }

 private:
  [[nodiscard]] bool is_done(std::uint32_t item) const {
    return statuses_[item].load(std::memory_order_acquire) !=
           static_cast<std::uint8_t>(ItemStatus::None);
  }
  void set(std::uint32_t item, ItemStatus status) const {
    statuses_[item].store(static_cast<std::uint8_t>(status), std::memory_order_release);
  }
  // What is left; `Each` has a result of its own.
  template <bool Each, class Run>
  void go_on(Run& run) {
    for (; next_ < end_; ++next_) {
      if (is_done(next_)) continue;  // before a worker died
      if (hand_.calls_left != 0) {
        --hand_.calls_left;
      } else if (Each) {  // another worker goes on with the chunk
        stopped_ = true;
        return;
      }
      if (batch_.timed != 0) begin_time();
      hand_.item.store(next_, std::memory_order_release);
      run(next_);
      if constexpr (Each) set(next_, ItemStatus::Value);
      // One writer: no need for a locked instruction.
      hand_.tasks.store(hand_.tasks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
  template <class Body>
  void loop(Body body) {
    next_ = begin_;
    loop_over([](void* context) { (*static_cast<Body*>(context))(); }, &body);
  }
  // Until all items are done, or one has failed that the others depend on.
  void loop_over(void (*body)(void* context), void* context);
  void fail_item(const void* site);
  void begin_time();
  void end_together();

  Batch& batch_;
  std::atomic<std::uint8_t>* statuses_;
  ItemInHand& hand_;
  std::uint32_t begin_, end_, next_ = 0;
  bool stopped_ = false, one_result_ = false;
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
  std::uint64_t items_at = 0;                 // offset of the first item, or of the offsets
  const std::byte* items_in_place = nullptr;  // or where they are
  std::shared_ptr<const void> keep{};         // what must live as long as the batch

  [[nodiscard]] std::uint32_t chunks() const {
    return static_cast<std::uint32_t>((std::uint64_t{items} + chunk_items - 1) / chunk_items);
  }
};

}  // namespace procession::detail
