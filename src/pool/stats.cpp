// What a pool tells of itself: figures, and a progress bar.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "pool/core.hpp"
#include "system/proc.hpp"

namespace procession::detail {

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
  const std::uint64_t tail = shared_->tail.load(std::memory_order_acquire);
  const Ring* ring = shared_->ring.load(std::memory_order_acquire);
  for (std::uint64_t at = shared_->head.load(std::memory_order_acquire); at < tail; ++at) {
    const Batch& batch = *ring->cells[at & ring->mask].load(std::memory_order_relaxed);
    const auto first = static_cast<std::uint32_t>(batch.next.load(std::memory_order_relaxed));
    for (std::uint32_t chunk = first; chunk < batch.chunks; ++chunk) {
      if (batch.states[chunk].load(std::memory_order_relaxed) != Batch::pending) continue;
      const std::uint32_t begin = chunk * batch.chunk_items;
      all.queued += std::min(batch.chunk_items, batch.items - begin);
    }
  }
  all.failed += lost_;
  all.retried = retried_;
  all.cancelled = cancelled_;
  return all;
}

void Core::show_progress(std::size_t done, std::size_t all, bool end) {
  if (!options_.progress || isatty(STDERR_FILENO) == 0) return;
  constexpr std::uint64_t pause = 50'000'000;
  const std::uint64_t now = monotonic_ns();
  if (!end && now - shown_.load(std::memory_order_relaxed) < pause) return;
  shown_.store(now, std::memory_order_relaxed);
  constexpr int width = 40;
  const std::size_t of = all == 0 ? done : all;
  const int filled = of == 0 ? width : static_cast<int>(done * width / of);
  std::string line = "\r[" + std::string(static_cast<std::size_t>(filled), '#') +
                     std::string(static_cast<std::size_t>(width - filled), '.') + "] " +
                     std::to_string(done) + (all == 0 ? "" : "/" + std::to_string(all));
  line += end ? "\r\x1b[K" : " ";
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace procession::detail
