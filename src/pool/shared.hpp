// What a pool's process and its workers share: the ring of batches, and a slot for each worker.
//
// Only the pool's process puts batches in the ring, so there is one producer; workers look at the
// batch at `head` and claim its chunks one by one. Deaths are the pool's business (recovery.cpp):
// it alone is sure to survive its workers, and they die with it.
//
// Invariants:
//   1. Cells in [head, tail) hold batches; a cell is not reused before head has passed it.
//   2. head passes a cell only when its batch has no pending chunk that was put there by it. A
//      chunk that becomes pending again is put in the ring again, in a new cell.
//   3. A full ring is copied to one twice as large; old rings stay until the pool ends, so that a
//      worker that still reads one reads what it had.
//   4. A worker that sleeps is counted in `sleepers`: it counts itself before it looks for work for
//      the last time, and the producer looks at `sleepers` after it has moved `tail`.
//   5. While somebody spins (`spinners`), nobody is woken for new work: who stops spinning looks
//   for
//      work after it has said so, and wakes another if there is more than it takes itself. A death
//      leaves `spinners` too low at the worst, never too high once the pool has heard of it.
// The single stores: submit: `tail`; pass: the compare-exchange of `head`; see batch.hpp.
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

inline constexpr std::uint32_t no_item = 0xffffffff;

struct alignas(64) WorkerSlot {
  std::atomic<Batch*> batch;         // hazard; then what it works on
  std::atomic<std::uint32_t> chunk;  // written before it is claimed
  std::atomic<std::uint32_t> item;   // written before it is run; no_item: none
  std::atomic<std::uint64_t> began;  // of a timed item, nanoseconds
  std::atomic<std::uint32_t> sleeping;
  std::atomic<std::uint32_t> spinning;
  std::atomic<std::uint32_t> initializing;       // it runs the initializer
  std::atomic<std::uint32_t> ready;              // the initializer is done
  std::atomic<std::uint32_t> over_memory;        // it ended itself at the memory limit
  std::atomic<void*> trouble;                    // what the initializer threw
  alignas(64) std::atomic<std::uint64_t> tasks;  // written by the worker alone
  std::atomic<std::uint64_t> failed;
  std::uint64_t calls_left;               // the worker's own: then it ends, to be replaced
  std::atomic<std::uint64_t> idle;        // nanoseconds, waits that are over
  std::atomic<std::uint64_t> ready_at;    // nanoseconds of the monotonic clock
  std::atomic<std::uint64_t> idle_since;  // 0: busy
};

struct Ring {
  std::uint64_t mask;
  std::atomic<Batch*> cells[1];  // mask + 1 of them
};

struct PoolShared {
  alignas(64) std::atomic<std::uint64_t> head;
  alignas(64) std::atomic<std::uint64_t> tail;
  std::atomic<Ring*> ring;
  alignas(64) std::atomic<std::uint32_t> signal;  // futex of workers without work
  std::atomic<std::uint32_t> sleepers;
  std::atomic<std::int32_t> spinners;
  alignas(64) std::atomic<std::uint32_t> closing;  // no more batches: end when the ring is empty
  std::atomic<std::uint32_t> stream_event;         // futex of who waits for several batches
  std::atomic<std::uint32_t> stream_waiters;
  std::atomic<std::uint64_t> completions;  // numbers the stamped batches
  std::uint64_t spin;                      // nanoseconds
  std::uint64_t max_tasks;                 // per worker; 0: no limit
  std::uint64_t memory_limit;              // bytes; 0: none
  CodeAddress initializer;                 // a TaskEntry
  std::byte* initializer_block;            // its arguments; nullptr: there is none
  std::uint64_t initializer_bytes;
  std::uint32_t workers;
  WorkerSlot slots[1];  // `workers` of them
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
