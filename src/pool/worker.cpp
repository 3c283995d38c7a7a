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

// The lane to take from: of those with the highest priority each in its turn. nullptr: all are
// empty.
Lane* choose_lane(PoolShared& shared, WorkerSlot& slot) noexcept {
  const Lanes& all = *shared.lanes.load(std::memory_order_acquire);
  const std::uint32_t count = all.count.load(std::memory_order_seq_cst);
  Lane* best = nullptr;
  std::uint32_t best_at = 0;
  for (std::uint32_t i = 0, at = slot.turn; i < count; ++i, ++at) {
    if (at >= count) at = 0;
    Lane* lane = all.lanes[at].load(std::memory_order_relaxed);
    if (lane->empty()) continue;
    if (best != nullptr && lane->priority.load(std::memory_order_relaxed) <=
                               best->priority.load(std::memory_order_relaxed)) {
      continue;
    }
    best = lane;
    best_at = at;
  }
  slot.turn = best_at + 1;
  return best;
}

// The batch and chunk to run next; false: there is none now.
bool take(PoolShared& shared, WorkerSlot& slot, std::uint32_t index, Batch*& batch,
          std::uint32_t& chunk) noexcept {
  for (;;) {
    Lane* lane = choose_lane(shared, slot);
    if (lane == nullptr) return false;
    std::uint64_t head = lane->head.load(std::memory_order_acquire);
    if (head >= lane->tail.load(std::memory_order_seq_cst)) continue;  // others took it
    Ring* ring = lane->ring.load(std::memory_order_acquire);
    Batch* found = ring->cells[head & ring->mask].load(std::memory_order_acquire);
    slot.batch.store(found, std::memory_order_seq_cst);
    if (lane->head.load(std::memory_order_seq_cst) != head) continue;
    chunk = claim(*found, slot, index);
    if (chunk + 1 >= found->chunks) {  // the last one, or none left
      lane->head.compare_exchange_strong(head, head + 1, std::memory_order_acq_rel);
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
  ChunkRun run(batch, begin, end, slot);
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
    run.each([&](std::uint32_t) { std::rethrow_exception(failure); });
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
  if (shared.lazy.load(std::memory_order_relaxed) != 0) return;  // the pool sees to it
  if (shared.spinners.load(std::memory_order_seq_cst) > 0) return;
  if (shared.has_work()) wake_workers(shared, 1);
}

// Until there is something to do, or the pool ends. False: it ends.
bool wait_for_work(PoolShared& shared, WorkerSlot& slot) {
  slot.idle_since.store(monotonic_ns(), std::memory_order_relaxed);
  const auto some = [&] {
    return shared.has_work() || shared.closing.load(std::memory_order_seq_cst) != 0;
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
  return shared.closing.load(std::memory_order_acquire) == 0 || shared.has_work();
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

void ChunkRun::begin_time() { hand_.began.store(monotonic_ns(), std::memory_order_relaxed); }

void ChunkRun::loop_over(void (*body)(void* context), void* context) {
  ThrowSite site;
  while (next_ < end_ && !stopped_) {
    try {
      call_watching_throws(body, context, site);
    } catch (abi::__forced_unwind&) {
      throw;  // the thread is being cancelled
    } catch (...) {
      fail_item(&site);
    }
  }
}

// The exception that is being handled is what became of the item.
void ChunkRun::fail_item(const void* site) {
  auto& home = *reinterpret_cast<std::atomic<void*>*>(slot(next_));
  batch_.troubled.store(1, std::memory_order_relaxed);
  home.store(nullptr, std::memory_order_relaxed);
  set(next_, ItemStatus::Failing);
  send_exception(home, *static_cast<const ThrowSite*>(site));
  if (batch_.stop_on_error != 0) {
    batch_.eager.store(1, std::memory_order_relaxed);
    batch_.dropped.store(1, std::memory_order_release);
  }
  set(next_, ItemStatus::Error);
  bump(hand_.tasks);
  bump(hand_.failed);
  ++next_;
  stopped_ = one_result_;
}

void ChunkRun::end_together() {
  for (std::uint32_t item = begin_; item < end_; ++item) {
    if (!is_done(item)) set(item, stopped_ ? ItemStatus::Dropped : ItemStatus::Value);
  }
  hand_.item.store(no_item, std::memory_order_release);
}

}  // namespace procession::detail
