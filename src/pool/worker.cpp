// The worker's side of a pool.
#include <cxxabi.h>

#include <cstring>
#include <ctime>

#include "memory/heap.hpp"
#include "pool/shared.hpp"
#include "procession/detail/exceptions.hpp"
#include "system/stack_trace.hpp"

namespace procession::detail {
namespace {

void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  // One writer: no need for a locked instruction.
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

// Where there is no memory for it, `home` stays empty: the caller hears that.
void send_exception(std::atomic<void*>& home, const ThrowSite& site) noexcept {
  try {
    Writer error("the exception of a task");
    encode_current_exception(error, site.stack());
    hand_over(error.finish(), home);
  } catch (const std::exception&) {
  }
}

// The next pending chunk of the batch, claimed; or batch.chunks. See batch.hpp, invariants 1, 3.
std::uint32_t claim(Batch& batch, WorkerSlot& slot, std::uint32_t index) noexcept {
  std::uint64_t next = batch.next.load(std::memory_order_acquire);
  auto chunk = static_cast<std::uint32_t>(next);
  for (; chunk < batch.chunks; ++chunk) {
    if (batch.dropped.load(std::memory_order_acquire) != 0) return batch.chunks;
    if (batch.states[chunk].load(std::memory_order_acquire) != Batch::pending) continue;
    slot.item.store(no_item, std::memory_order_relaxed);
    slot.chunk.store(chunk, std::memory_order_release);
    std::uint32_t expected = Batch::pending;
    if (batch.states[chunk].compare_exchange_strong(expected, Batch::running(index),
                                                    std::memory_order_acq_rel)) {
      // Fails when the pool has lowered it meanwhile, because a chunk became pending again.
      if (batch.chunks > 1) {
        batch.next.compare_exchange_strong(next, (next >> 32 << 32) + chunk + 1,
                                           std::memory_order_acq_rel);
      }
      return chunk;
    }
  }
  return batch.chunks;
}

// The batch and chunk to run next; false: there is none now.
bool take(PoolShared& shared, WorkerSlot& slot, std::uint32_t index, Batch*& batch,
          std::uint32_t& chunk) noexcept {
  for (;;) {
    std::uint64_t head = shared.head.load(std::memory_order_acquire);
    if (head >= shared.tail.load(std::memory_order_seq_cst)) return false;
    Ring* ring = shared.ring.load(std::memory_order_acquire);
    Batch* found = ring->cells[head & ring->mask].load(std::memory_order_acquire);
    slot.batch.store(found, std::memory_order_seq_cst);
    if (shared.head.load(std::memory_order_seq_cst) != head) continue;
    chunk = claim(*found, slot, index);
    if (chunk + 1 >= found->chunks) {  // the last one, or none left
      shared.head.compare_exchange_strong(head, head + 1, std::memory_order_acq_rel);
    }
    if (chunk < found->chunks) {
      batch = found;
      return true;
    }
  }
}

bool all_done(const Batch& batch, std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t item = begin; item < end; ++item) {
    const auto status = batch.statuses[item].load(std::memory_order_relaxed);
    if (status == static_cast<std::uint8_t>(ItemStatus::None)) return false;
  }
  return true;
}

void run_chunk(PoolShared& shared, WorkerSlot& slot, Batch& batch, std::uint32_t chunk) {
  const std::uint32_t begin = chunk * batch.chunk_items;
  const std::uint32_t end = std::min(begin + batch.chunk_items, batch.items);
  ChunkRun run(batch, begin, end, &slot);
  // What fails outside an item (decoding the callable) fails the chunk's items, one by one.
  struct Context {
    Batch& batch;
    ChunkRun& run;
  } context{batch, run};
  ThrowSite site;
  try {
    call_watching_throws(
        [](void* opaque) {
          auto& in = *static_cast<Context*>(opaque);
          reinterpret_cast<ChunkEntry>(resolve(in.batch.entry))(in.run);
        },
        &context, site);
  } catch (abi::__forced_unwind&) {
    throw;
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    run.each(
        [](void* opaque, std::uint32_t) {
          std::rethrow_exception(*static_cast<const std::exception_ptr*>(opaque));
        },
        const_cast<std::exception_ptr*>(&failure));
  }
  if (slot.calls_left == 0 && !all_done(batch, begin, end)) return;
  if (batch.stamped != 0) {
    batch.stamp.store(shared.completions.fetch_add(1, std::memory_order_relaxed),
                      std::memory_order_relaxed);
  }
  batch.states[chunk].store(Batch::finished, std::memory_order_seq_cst);
  const std::uint32_t done =
      batch.chunks == 1 ? 1 : batch.done.fetch_add(1, std::memory_order_relaxed) + 1;
  announce(shared, batch, done >= batch.chunks);
}

// True: there is work, or the end. False: this worker is counted as a sleeper. Invariants 4 and 5.
template <class Some>
bool spin_for_work(PoolShared& shared, WorkerSlot& slot, Some some) {
  slot.spinning.store(1, std::memory_order_release);
  shared.spinners.fetch_add(1, std::memory_order_seq_cst);
  const bool found = spin_until(shared.spin, some);
  if (!found) {
    shared.sleepers.fetch_add(1, std::memory_order_seq_cst);
    slot.sleeping.store(1, std::memory_order_release);
  }
  shared.spinners.fetch_sub(1, std::memory_order_seq_cst);
  slot.spinning.store(0, std::memory_order_release);
  return found;
}

// After this worker has taken something: is there more, and nobody awake to take it?
void pass_on(PoolShared& shared) noexcept {
  if (shared.sleepers.load(std::memory_order_seq_cst) == 0) return;
  if (shared.spinners.load(std::memory_order_seq_cst) > 0) return;
  if (shared.head.load(std::memory_order_acquire) < shared.tail.load(std::memory_order_seq_cst)) {
    wake_workers(shared, 1);
  }
}

// Until there is something in the ring, or the pool ends. False: it ends.
bool wait_for_work(PoolShared& shared, WorkerSlot& slot) {
  slot.idle_since.store(monotonic_ns(), std::memory_order_relaxed);
  const auto some = [&] {
    return shared.head.load(std::memory_order_acquire) <
               shared.tail.load(std::memory_order_seq_cst) ||
           shared.closing.load(std::memory_order_seq_cst) != 0;
  };
  if (!spin_for_work(shared, slot, some)) {
    for (;;) {
      const std::uint32_t seen = shared.signal.load(std::memory_order_acquire);
      if (some()) break;
      futex_wait(shared.signal, seen);
    }
    // In this order a death in between leaves `sleepers` too high, never too low.
    slot.sleeping.store(0, std::memory_order_release);
    shared.sleepers.fetch_sub(1, std::memory_order_acq_rel);
  }
  bump(slot.idle, monotonic_ns() - slot.idle_since.load(std::memory_order_relaxed));
  slot.idle_since.store(0, std::memory_order_relaxed);
  return shared.head.load(std::memory_order_acquire) <
             shared.tail.load(std::memory_order_acquire) ||
         shared.closing.load(std::memory_order_acquire) == 0;
}

}  // namespace

void work(PoolShared& shared, std::uint32_t index) {
  WorkerSlot& slot = shared.slots[index];
  slot.ready_at.store(monotonic_ns(), std::memory_order_relaxed);
  slot.ready.store(1, std::memory_order_release);
  slot.calls_left = shared.max_tasks != 0 ? shared.max_tasks : UINT64_MAX;
  while (slot.calls_left != 0) {
    Batch* batch = nullptr;
    std::uint32_t chunk = 0;
    if (!take(shared, slot, index, batch, chunk)) {
      slot.batch.store(nullptr, std::memory_order_release);
      if (!wait_for_work(shared, slot)) return;
      continue;
    }
    pass_on(shared);
    run_chunk(shared, slot, *batch, chunk);
    if (slot.calls_left != 0) slot.batch.store(nullptr, std::memory_order_release);
  }
}

void ChunkRun::give(std::uint32_t item, Writer& result) {
  hand_over(result.finish(), *reinterpret_cast<std::atomic<void*>*>(slot(item)));
}

void ChunkRun::each(void (*run)(void* context, std::uint32_t item), void* context) {
  auto& worker = *static_cast<WorkerSlot*>(worker_);
  struct Loop {
    ChunkRun& chunk;
    WorkerSlot& worker;
    void (*run)(void*, std::uint32_t);
    void* context;
    std::uint32_t item;
    bool stopped = false;
  } loop{*this, worker, run, context, begin_};
  const auto body = [](void* opaque) {
    auto& the = *static_cast<Loop*>(opaque);
    Batch& batch = the.chunk.batch_;
    for (; the.item < the.chunk.end_; ++the.item) {
      auto& status = batch.statuses[the.item];
      if (status.load(std::memory_order_acquire) != static_cast<std::uint8_t>(ItemStatus::None)) {
        continue;  // done before a worker died
      }
      if (the.worker.calls_left == 0) {  // another worker goes on with the chunk
        the.worker.item.store(no_item, std::memory_order_release);
        the.stopped = true;
        return;
      }
      --the.worker.calls_left;
      if (batch.timed != 0) the.worker.began.store(monotonic_ns(), std::memory_order_relaxed);
      the.worker.item.store(the.item, std::memory_order_release);
      the.run(the.context, the.item);
      status.store(static_cast<std::uint8_t>(ItemStatus::Value), std::memory_order_release);
      bump(the.worker.tasks);
    }
  };
  ThrowSite site;
  while (loop.item < end_ && !loop.stopped) {
    try {
      call_watching_throws(body, &loop, site);
    } catch (abi::__forced_unwind&) {
      throw;  // the thread is being cancelled
    } catch (...) {
      auto& status = batch_.statuses[loop.item];
      auto& home = *reinterpret_cast<std::atomic<void*>*>(slot(loop.item));
      home.store(nullptr, std::memory_order_relaxed);
      status.store(static_cast<std::uint8_t>(ItemStatus::Failing), std::memory_order_release);
      send_exception(home, site);
      if (batch_.stop_on_error != 0) {
        batch_.eager.store(1, std::memory_order_relaxed);
        batch_.dropped.store(1, std::memory_order_release);
      }
      status.store(static_cast<std::uint8_t>(ItemStatus::Error), std::memory_order_release);
      bump(worker.tasks);
      bump(worker.failed);
      ++loop.item;
    }
  }
  worker.item.store(no_item, std::memory_order_release);
}

void announce(PoolShared& shared, Batch& batch, bool always) noexcept {
  if (batch.stamped != 0) {
    if (shared.stream_waiters.load(std::memory_order_seq_cst) != 0) {
      shared.stream_event.fetch_add(1, std::memory_order_release);
      futex_wake(shared.stream_event, INT32_MAX);
    }
  }
  if (!always && batch.eager.load(std::memory_order_relaxed) == 0) return;
  if (batch.waiters.load(std::memory_order_seq_cst) == 0) return;
  batch.event.fetch_add(1, std::memory_order_release);
  futex_wake(batch.event, INT32_MAX);
}

void wake_workers(PoolShared& shared, std::uint32_t count) noexcept {
  if (shared.sleepers.load(std::memory_order_seq_cst) == 0) return;
  shared.signal.fetch_add(1, std::memory_order_release);
  futex_wake(shared.signal, static_cast<int>(count));
}

}  // namespace procession::detail
