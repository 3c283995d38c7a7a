// What the pool does when a worker dies, or is to die.
#include <signal.h>
#include <unistd.h>

#include "memory/heap.hpp"
#include "pool/core.hpp"
#include "procession/detail/exceptions.hpp"
#include "procession/log.hpp"
#include "spdlog/logger.h"
#include "system/proc.hpp"

namespace procession::detail {
namespace {

// In a row, of one worker in its initializer: that is the initializer's doing.
constexpr std::size_t most_failed_initializers = 5;
// In a row, of all workers before they ran anything of the program's. Whoever kills workers at
// random hardly ever does so; where no worker can start, it takes no longer than a second.
constexpr std::size_t most_failed_starts = 100;

}  // namespace

std::exception_ptr was_terminated() {
  return std::make_exception_ptr(
      PoolClosed("the pool was terminated before the call was done; make a new pool"));
}

// Runs on the supervisor's thread; the only one that replaces workers.
void Core::on_death(std::uint32_t index) {
  std::shared_ptr<Child> child;
  {
    std::lock_guard guard(mutex_);
    child = workers_[index].child;
  }
  if (child == nullptr) return;
  ExitRecord record;
  record.status = SIGKILL;
  try {
    record = child->collect();
  } catch (const std::exception& error) {  // it is dead all the same
    get_logger()->error("the exit status of a worker is lost: {}", error.what());
  }
  bool replace = false;
  std::shared_ptr<Child> gone;  // its end outlives the lock
  std::shared_ptr<Callbacks> callbacks;
  {
    std::lock_guard guard(mutex_);
    callbacks = callbacks_;
    Worker& worker = workers_[index];
    WorkerSlot& slot = shared_->slots[index];
    const int exitcode = exitcode_of(record.status);
    DeathReason reason = exitcode < 0 ? DeathReason::Signal : DeathReason::Exit;
    if (slot.over_memory.load() != 0) reason = DeathReason::MemoryLimit;
    resolve(index, {child->pid(), exitcode, reason});
    if (slot.sleeping.exchange(0) != 0) shared_->sleepers.fetch_sub(1);
    if (slot.spinning.exchange(0) != 0) shared_->spinners.fetch_sub(1);
    const bool was_ready = slot.ready.load() != 0;
    const bool initializing = !was_ready && slot.initializing.load() != 0;
    worker.failed_initializers = initializing ? worker.failed_initializers + 1 : 0;
    failed_starts_ = was_ready ? 0 : failed_starts_ + 1;
    worker.tasks_before += slot.tasks.exchange(0);
    worker.failed_before += slot.failed.exchange(0);
    worker.peak_memory = std::max(worker.peak_memory, record.peak_memory);
    worker.killed_for.reset();
    slot.batch.store(nullptr, std::memory_order_seq_cst);
    slot.item.store(no_item);
    slot.ready.store(0);
    slot.initializing.store(0);
    slot.over_memory.store(0);
    slot.idle.store(0);
    slot.idle_since.store(0);
    worker.watch = 0;
    gone = std::move(worker.child);
    if (void* trouble = slot.trouble.load(std::memory_order_acquire); trouble && !broken_) {
      Reader reader(static_cast<std::byte*>(trouble), block_size(trouble));
      broken_ = decode_exception(reader);
    } else if ((worker.failed_initializers >= most_failed_initializers ||
                failed_starts_ >= most_failed_starts) &&
               !broken_) {
      const std::size_t attempts = initializing ? worker.failed_initializers : failed_starts_;
      broken_ = std::make_exception_ptr(
          WorkerDied(child->pid(), exitcode, reason, static_cast<int>(attempts),
                     initializing ? "the initializer of the pool's workers"
                                  : "workers of the pool die before they can run anything"));
    }
    const bool work_left = shared_->has_work();
    replace = !terminated_ && !process_is_ending() && broken_ == nullptr && (!closed_ || work_left);
    if (replace) {
      ++replacing_;
      ++worker.restarts;
    }
    if (broken_ != nullptr) refuse_rest(broken_);
    if (terminated_ && all_gone()) refuse_rest(was_terminated());
    wake_workers(*shared_, INT32_MAX);  // it may have been woken for what it did not take
  }
  if (callbacks != nullptr) callbacks->worker_died(child->pid());
  if (replace) replace_worker(index);
  changed_.notify_all();
}

void Core::replace_worker(std::uint32_t index) {
  std::exception_ptr failure;
  try {
    start_worker(index);
  } catch (const std::exception& error) {
    get_logger()->error("a worker that died could not be replaced: {}", error.what());
    failure = std::current_exception();
  }
  std::lock_guard guard(mutex_);
  --replacing_;
  if (failure == nullptr || !all_gone()) return;
  broken_ = failure;
  refuse_rest(broken_);
}

// What the dead worker had in hand. REQUIRES: mutex_; the kernel has said that it is dead.
void Core::resolve(std::uint32_t index, const Death& death) {
  WorkerSlot& slot = shared_->slots[index];
  Batch* batch = slot.batch.load(std::memory_order_acquire);
  if (batch == nullptr) return;
  const std::uint32_t chunk = slot.chunk.load(std::memory_order_acquire);
  if (chunk >= batch->chunks ||
      batch->states[chunk].load(std::memory_order_acquire) != Batch::running(index)) {
    // It had only looked, or was done; then it may have died before it counted the chunk, or
    // before it woke anybody.
    batch->eager.store(1, std::memory_order_release);
    announce(*shared_, *batch, true);
    return;
  }
  auto& call = *static_cast<CallState*>(batch->owner);
  const Worker& worker = workers_[index];
  const std::uint32_t item = slot.item.load(std::memory_order_acquire);
  batch->eager.store(1, std::memory_order_release);  // its count of chunks may be wrong
  if (terminated_) {
    call.losses_.erase(item);  // the last of its attempts was not the item's fault
    batch->states[chunk].store(Batch::pending, std::memory_order_seq_cst);
    call.refuse(was_terminated());
    announce(*shared_, *batch, true);
    return;
  }
  bool again = true;
  if (item != no_item && item < batch->items) {
    Death told = death;
    const bool meant = worker.killed_batch == batch && worker.killed_item == item;
    if (worker.killed_for && meant) told.reason = *worker.killed_for;
    if (worker.killed_for && !meant) {
      ++retried_;  // killed for the item before: not its fault
    } else {
      again = resolve_item(call, item, told);
    }
  }
  const std::uint32_t begin = chunk * batch->chunk_items;
  const std::uint32_t end = std::min(begin + batch->chunk_items, batch->items);
  bool left = false;
  for (std::uint32_t i = begin; i < end; ++i) {
    left = left || batch->statuses[i].load() == static_cast<std::uint8_t>(ItemStatus::None);
  }
  if (left && (again || begin + 1 < end) && batch->dropped.load() == 0) {
    put_back(*batch, chunk);
  } else {
    batch->states[chunk].store(Batch::finished, std::memory_order_seq_cst);
  }
  announce(*shared_, *batch, true);
}

// True: the item is to be run again.
bool Core::resolve_item(CallState& call, std::uint32_t item, const Death& death) {
  Batch& batch = call.batch();
  auto& status = batch.statuses[item];
  const auto now = static_cast<ItemStatus>(status.load(std::memory_order_acquire));
  if (now != ItemStatus::None && now != ItemStatus::Failing) return true;  // it was done
  // A result or an exception that was sent but not yet said to be there.
  if (batch.result_kind == ResultKind::Boxed || now == ItemStatus::Failing) {
    auto& home = *reinterpret_cast<std::atomic<void*>*>(batch.results +
                                                        std::size_t{item} * batch.result_stride);
    if (void* block = home.load(std::memory_order_acquire)) {
      deallocate_if_home(block, home);  // first, as in free_boxes()
      home.store(nullptr, std::memory_order_release);
    }
  }
  batch.troubled.store(1, std::memory_order_relaxed);
  auto& loss = call.losses_[item];
  loss.death = death;
  ++loss.attempts;
  const bool wanted = death.reason != DeathReason::Cancelled;
  if (wanted && loss.attempts <= call.retries_) {
    ++retried_;
    status.store(static_cast<std::uint8_t>(ItemStatus::None), std::memory_order_release);
    return true;
  }
  if (!wanted) {
    call.losses_.erase(item);
    status.store(static_cast<std::uint8_t>(ItemStatus::Dropped), std::memory_order_release);
  } else {
    ++lost_;
    if (batch.stop_on_error != 0) batch.dropped.store(1, std::memory_order_release);
    status.store(static_cast<std::uint8_t>(ItemStatus::Lost), std::memory_order_release);
  }
  return false;
}

void Core::put_back(Batch& batch, std::uint32_t chunk) {
  batch.states[chunk].store(Batch::pending, std::memory_order_seq_cst);
  std::uint64_t next = batch.next.load(std::memory_order_acquire);
  std::uint64_t lower = 0;
  do {
    const auto first = std::min(static_cast<std::uint32_t>(next), chunk);
    lower = ((next >> 32) + 1) << 32 | first;
  } while (!batch.next.compare_exchange_weak(next, lower));
  push(*static_cast<CallState*>(batch.owner));
}

// Ends everything that is not done. REQUIRES: mutex_.
void Core::refuse_rest(const std::exception_ptr& why) {
  for (const LaneUse& each : lanes_) {
    Lane& lane = *each.lane;
    const std::uint64_t tail = lane.tail.load();
    Ring* ring = lane.ring.load();
    for (std::uint64_t at = lane.head.load(); at < tail; ++at) {
      Batch& batch = *ring->cells[at & ring->mask].load();
      auto& call = *static_cast<CallState*>(batch.owner);
      if (call.refuse(why)) announce(*shared_, batch, true);
    }
    std::uint64_t head = lane.head.load();
    while (head < tail && !lane.head.compare_exchange_weak(head, tail)) {
    }
  }
}

// --- deaths that the pool wants ------------------------------------------------------------

// REQUIRES: mutex_.
void Core::kill_for(std::uint32_t index, DeathReason reason) {
  Worker& worker = workers_[index];
  WorkerSlot& slot = shared_->slots[index];
  if (worker.child == nullptr || worker.killed_for) return;
  worker.killed_for = reason;
  worker.killed_batch = slot.batch.load(std::memory_order_acquire);
  worker.killed_item = slot.item.load(std::memory_order_acquire);
  worker.child->signal(SIGKILL);
}

bool Core::cancel(CallState& call) {
  require_own_process("cancel()");
  std::lock_guard guard(mutex_);
  if (call.ready()) return false;
  Batch& batch = call.batch();
  call.cancelled_.store(true, std::memory_order_release);
  batch.dropped.store(1, std::memory_order_seq_cst);
  batch.eager.store(1, std::memory_order_release);
  ++cancelled_;
  for (std::uint32_t i = 0; i < shared_->workers; ++i) {
    WorkerSlot& slot = shared_->slots[i];
    if (slot.batch.load(std::memory_order_seq_cst) == &batch &&
        slot.item.load(std::memory_order_acquire) != no_item) {
      kill_for(i, DeathReason::Cancelled);
    }
  }
  announce(*shared_, batch, true);
  return true;
}

// REQUIRES: mutex_.
void Core::arm_timer(std::chrono::nanoseconds timeout) {
  if (shortest_timeout_.count() == 0 || timeout < shortest_timeout_) shortest_timeout_ = timeout;
  if (timer_ != 0) return;
  timer_ = Supervisor::instance().at(std::chrono::steady_clock::now() + timeout,
                                     [self = weak_from_this()] {
                                       if (const auto core = self.lock()) core->check_times();
                                     });
}

// On the supervisor's thread, when the first timed call may be over its time.
void Core::check_times() {
  std::lock_guard guard(mutex_);
  timer_ = 0;
  if (terminated_) return;
  const std::uint64_t now = monotonic_ns();
  bool more = shared_->has_work();
  auto wait = shortest_timeout_;
  for (std::uint32_t i = 0; i < shared_->workers; ++i) {
    WorkerSlot& slot = shared_->slots[i];
    Batch* batch = slot.batch.load(std::memory_order_seq_cst);
    if (batch == nullptr || batch->timed == 0) continue;
    more = true;
    if (slot.item.load(std::memory_order_acquire) == no_item) continue;
    const auto limit = static_cast<CallState*>(batch->owner)->timeout();
    const auto ran = std::chrono::nanoseconds(now - slot.began.load(std::memory_order_acquire));
    if (ran >= limit) {
      kill_for(i, DeathReason::Timeout);
    } else {
      wait = std::min(wait, limit - ran);
    }
  }
  if (more) arm_timer(std::max<std::chrono::nanoseconds>(wait, std::chrono::milliseconds(1)));
}

}  // namespace procession::detail
