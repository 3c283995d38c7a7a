// What a pool's process and its workers share: lanes of batches, and a slot for each worker.
//
// A lane holds what one thread has submitted with one priority, and the worker takes a chunk from
// the lanes of the highest priority that have any, from each in turn: so neither a long map nor
// ten thousand calls of one thread keep another thread waiting. A lane that is empty is anybody's,
// so there are as many as had work at one time.
//
// Only the pool's process puts batches in a lane, so there is one producer; workers look at the
// batch at `head` and claim its chunks one by one. Deaths are the pool's business (recovery.cpp):
// it alone is sure to survive its workers, and they die with it.
//
// Invariants:
//   1. Cells in [head, tail) of a lane hold batches; a cell is not reused before head has passed
//      it.
//   2. head passes a cell only when its batch has no pending chunk that was put there by it. A
//      chunk that becomes pending again is put in a lane again, in a new cell.
//   3. A full ring is copied to one twice as large, and so is a full table of lanes; old ones stay
//      until the pool ends, so that a worker that still reads one reads what it had. A lane stays
//      in the table; its priority changes only while it is empty.
//   4. A worker that sleeps is counted in `sleepers`: it counts itself before it looks for work for
//      the last time, and the producer looks at `sleepers` after it has moved `tail`.
//   5. While somebody spins (`spinners`), nobody is woken for new work: who stops spinning looks
//      for work after it has said so, and wakes another if there is more than it takes itself. A
//      death leaves `spinners` too low at the worst, never too high once the pool has heard of it.
//   6. While calls are short (`lazy`), nobody is woken for one more call if a worker is awake: that
//      costs more than the call. Then a nudge is due within a millisecond, on the supervisor's
//      thread, that wakes one if there is still work; see Core::wants_wake().
// The single stores: submit: `tail`; pass: the compare-exchange of `head`; a new lane: `count`;
// see batch.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>

#include "procession/detail/batch.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/task.hpp"

namespace procession::detail {

struct alignas(64) WorkerSlot : ItemInHand {
  std::atomic<Batch*> batch;         // hazard; then what it works on
  std::atomic<std::uint32_t> chunk;  // written before it is claimed
  std::atomic<std::uint32_t> sleeping;
  std::atomic<std::uint32_t> spinning;
  std::atomic<std::uint32_t> initializing;  // it runs the initializer
  std::atomic<std::uint32_t> ready;         // the initializer is done
  std::atomic<std::uint32_t> over_memory;   // it ended itself at the memory limit
  std::atomic<void*> trouble;               // what the initializer threw
  std::uint32_t turn;                       // the worker's own: the lane to begin with
  std::atomic<std::uint64_t> idle;          // nanoseconds, waits that are over
  std::atomic<std::uint64_t> ready_at;      // nanoseconds of the monotonic clock
  std::atomic<std::uint64_t> idle_since;    // 0: busy
};

struct Ring {
  std::uint64_t mask;
  std::atomic<Batch*> cells[1];  // mask + 1 of them
};

struct Lane {
  alignas(64) std::atomic<std::uint64_t> head;
  alignas(64) std::atomic<std::uint64_t> tail;
  std::atomic<Ring*> ring;
  std::atomic<int> priority;

  [[nodiscard]] bool empty() const noexcept {
    return head.load(std::memory_order_acquire) >= tail.load(std::memory_order_seq_cst);
  }
};

// Batches that are done and have a callback; see callbacks.hpp.
struct Inbox {
  alignas(64) std::atomic<Batch*> top;
  std::atomic<std::uint32_t> event;  // futex of the thread that empties it
  std::atomic<std::uint32_t> asleep;
};

struct Lanes {
  std::uint32_t room;
  std::atomic<std::uint32_t> count;
  std::atomic<Lane*> lanes[1];  // `room` of them
};

struct PoolShared {
  std::atomic<Lanes*> lanes;
  alignas(64) std::atomic<std::uint32_t> signal;  // futex of workers without work
  std::atomic<std::uint32_t> sleepers;
  std::atomic<std::int32_t> spinners;
  std::atomic<std::uint32_t> lazy;                 // written by the pool's process
  alignas(64) std::atomic<std::uint32_t> closing;  // no more batches: end when the ring is empty
  std::atomic<std::uint32_t> stream_event;         // futex of who waits for several batches
  std::atomic<std::uint32_t> stream_waiters;
  std::atomic<std::uint64_t> completions;  // numbers the stamped batches
  std::atomic<Inbox*> inbox;               // nullptr until there was a callback
  std::uint64_t spin;                      // nanoseconds
  std::uint64_t max_tasks;                 // per worker; 0: no limit
  std::uint64_t memory_limit;              // bytes; 0: none
  CodeAddress initializer;                 // a TaskEntry
  std::byte* initializer_block;            // its arguments; nullptr: there is none
  std::uint64_t initializer_bytes;
  std::uint32_t workers;
  WorkerSlot slots[1];  // `workers` of them

  // use(lane) for each, until it returns true; whether it did.
  template <class Use>
  bool any_lane(Use use) const noexcept {
    const Lanes& all = *lanes.load(std::memory_order_acquire);
    const std::uint32_t count = all.count.load(std::memory_order_seq_cst);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (use(*all.lanes[i].load(std::memory_order_relaxed))) return true;
    }
    return false;
  }
  // Whether a batch waits in any lane.
  [[nodiscard]] bool has_work() const noexcept {
    return any_lane([](const Lane& lane) { return !lane.empty(); });
  }
};

inline std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Frees boxed results and exceptions.
void free_boxes(Batch& batch) noexcept;

// Wakes who waits for a batch. Called after the state was stored.
void announce(PoolShared& shared, Batch& batch, bool always) noexcept;
// Puts the batch in the inbox if it has a callback.
void notify(PoolShared& shared, Batch& batch) noexcept;
void wake(Inbox& inbox) noexcept;
// Wakes up to `count` workers that sleep.
void wake_workers(PoolShared& shared, std::uint32_t count) noexcept;

// The worker's life after its initializer; `index` is its slot.
void work(PoolShared& shared, std::uint32_t index);
// What a worker process runs.
std::unique_ptr<Task> worker_task(PoolShared& shared, std::uint32_t index);

// Polls `ready` for up to `nanoseconds`, politely. True: it became true.
template <class Ready>
bool spin_until(std::uint64_t nanoseconds, Ready ready);

}  // namespace procession::detail

#include "pool/spin.hpp"
