// What a pool tells of itself.
#include "pool/core.hpp"
#include "system/proc.hpp"

namespace procession::detail {

namespace {

// Items of chunks that nobody has begun.
std::size_t queued_in(const Lane& lane) {
  std::size_t items = 0;
  const std::uint64_t tail = lane.tail.load(std::memory_order_acquire);
  const Ring* ring = lane.ring.load(std::memory_order_acquire);
  for (std::uint64_t at = lane.head.load(std::memory_order_acquire); at < tail; ++at) {
    const Batch& batch = *ring->cells[at & ring->mask].load(std::memory_order_relaxed);
    const auto first = static_cast<std::uint32_t>(batch.next.load(std::memory_order_relaxed));
    for (std::uint32_t chunk = first; chunk < batch.chunks; ++chunk) {
      if (batch.states[chunk].load(std::memory_order_relaxed) != Batch::pending) continue;
      const std::uint32_t begin = chunk * batch.chunk_items;
      items += std::min(batch.chunk_items, batch.items - begin);
    }
  }
  return items;
}

}  // namespace

PoolStats Core::stats() const {
  require_own_process("stats()");
  std::lock_guard guard(mutex_);
  PoolStats all{};
  const std::uint64_t now = monotonic_ns();
  for (std::uint32_t i = 0; i < workers_.size(); ++i) {
    const Worker& worker = workers_[i];
    const WorkerSlot& slot = shared_->slots[i];
    WorkerStats one{};
    one.pid = worker.child ? worker.child->pid() : 0;
    one.tasks = worker.tasks_before + slot.tasks.load(std::memory_order_relaxed);
    const std::uint64_t ready = slot.ready_at.load(std::memory_order_relaxed);
    if (slot.ready.load(std::memory_order_acquire) != 0 && ready > worker.started) {
      const std::uint64_t since = slot.idle_since.load(std::memory_order_relaxed);
      std::uint64_t idle = slot.idle.load(std::memory_order_relaxed);
      if (since != 0 && now > since) idle += now - since;
      const std::uint64_t alive = now > ready ? now - ready : 0;
      one.startup = std::chrono::nanoseconds(ready - worker.started);
      one.idle = std::chrono::nanoseconds(std::min(idle, alive));
      one.busy = std::chrono::nanoseconds(alive - std::min(idle, alive));
    }
    one.peak_memory = worker.peak_memory;
    if (worker.child && !worker.child->ended()) {
      one.peak_memory = std::max(one.peak_memory, observe_usage(one.pid).peak_memory);
    }
    one.restarts = worker.restarts;
    if (slot.item.load(std::memory_order_relaxed) != no_item &&
        slot.batch.load(std::memory_order_relaxed) != nullptr) {
      ++all.running;
    }
    const std::uint64_t failed = worker.failed_before + slot.failed.load(std::memory_order_relaxed);
    all.done += one.tasks - failed;
    all.failed += failed;
    all.workers.push_back(one);
  }
  for (const LaneUse& each : lanes_) all.queued += queued_in(*each.lane);
  all.failed += lost_;
  all.retried = retried_;
  all.cancelled = cancelled_;
  return all;
}

}  // namespace procession::detail
