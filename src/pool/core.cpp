#include "pool/core.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "process/fork_server.hpp"
#include "procession/pool.hpp"
#include "system/cpu.hpp"
#include "system/proc.hpp"

namespace procession::detail {
namespace {

constexpr std::uint64_t first_ring = 256;
constexpr std::uint32_t first_lanes = 8;

Ring* make_ring(std::uint64_t cells) {
  const std::size_t bytes = sizeof(Ring) + (cells - 1) * sizeof(Ring::cells[0]);
  auto* ring = static_cast<Ring*>(allocate(bytes));
  std::memset(static_cast<void*>(ring), 0, bytes);
  ring->mask = cells - 1;
  return ring;
}

Lanes* make_lanes(std::uint32_t room) {
  const std::size_t bytes = sizeof(Lanes) + (room - 1) * sizeof(Lanes::lanes[0]);
  auto* lanes = static_cast<Lanes*>(allocate(bytes));
  std::memset(static_cast<void*>(lanes), 0, bytes);
  lanes->room = room;
  return lanes;
}

// Once: what the sweep does with the batches of a dead process.
const bool finalizer_set = [] {
  set_block_finalizer(BlockKind::Batch, [](void* block) noexcept {
    auto& batch = *static_cast<Batch*>(block);
    if (batch.states != nullptr) free_boxes(batch);
  });
  return true;
}();

}  // namespace

std::shared_ptr<PoolCore> PoolCore::make(PoolOptions options, std::unique_ptr<Task> initializer) {
  auto core = std::make_shared<Core>(std::move(options), std::move(initializer));
  core->start_workers();
  return core;
}

Core::Core(PoolOptions options, std::unique_ptr<Task> initializer)
    : options_(std::move(options)), owner_((ensure_family(), fork_epoch())) {
  (void)finalizer_set;
  if (options_.processes == 0) {
    options_.processes = static_cast<std::size_t>(detail::usable_cpu_count());
  }
  if (options_.memory_limit != 0) options_.limits.memory = options_.memory_limit;
  const std::size_t workers = options_.processes;
  const std::size_t bytes = sizeof(PoolShared) + (workers - 1) * sizeof(WorkerSlot);
  void* block = allocate(bytes);
  std::memset(block, 0, bytes);
  shared_ = new (block) PoolShared{};
  shared_->workers = static_cast<std::uint32_t>(workers);
  // With one CPU a spinning waiter only keeps away what it waits for.
  shared_->spin = detail::usable_cpu_count() > 1
                      ? static_cast<std::uint64_t>(std::max<std::int64_t>(options_.spin.count(), 0))
                      : 0;
  shared_->max_tasks = options_.max_tasks_per_child;
  shared_->memory_limit = options_.memory_limit;
  workers_.resize(workers);
  try {
    shared_->lanes.store(make_lanes(first_lanes), std::memory_order_release);
    add_lane();
    if (initializer != nullptr) {
      Writer writer("Pool");
      initializer->write(writer);
      shared_->initializer = code_address(reinterpret_cast<const void*>(initializer->entry()));
      shared_->initializer_bytes = writer.size();
      initializer_block_ = writer.finish();
      shared_->initializer_block = static_cast<std::byte*>(initializer_block_);
    }
  } catch (...) {
    free_lanes();
    deallocate(shared_);
    throw;
  }
}

void Core::free_lanes() noexcept {
  for (const LaneUse& each : lanes_) {
    deallocate(each.lane->ring.load());
    deallocate(each.lane);
  }
  for (void* block : old_) deallocate(block);
  deallocate(shared_->lanes.load());
}

Core::~Core() {
  if (owner_ != fork_epoch()) return;
  sweep_limbo(limbo_.size());
  free_lanes();
  deallocate(initializer_block_);
  for (std::uint32_t i = 0; i < shared_->workers; ++i) deallocate(shared_->slots[i].trouble.load());
  deallocate(shared_);
}

void Core::start_workers() {
  try {
    for (std::uint32_t i = 0; i < workers_.size(); ++i) start_worker(i);
    loaded_ = start_method() == StartMethod::ForkServer ? served_modules() : loaded_modules();
  } catch (...) {
    terminate();
    join(std::nullopt);
    throw;
  }
}

StartMethod Core::start_method() const {
  return options_.start_method ? *options_.start_method : default_start_method();
}

void Core::start_worker(std::uint32_t index) {
  Worker& worker = workers_[index];
  StartOrder order;
  order.daemon = true;
  order.limits = options_.limits;
  if (options_.pin_cpus) {
    const std::vector<int> allowed = get_affinity();
    order.cpus = {allowed[index % allowed.size()]};
  }
  std::string name = next_child_name(&order.identity);
  name = (options_.name.empty() ? "Pool" : options_.name) + "Worker-" + order.identity;
  const StartMethod method = start_method();
  const auto task = worker_task(*shared_, index);
  const std::uint64_t started = monotonic_ns();
  auto child = Child::start(name, method, std::move(order), *task);
  std::lock_guard guard(mutex_);
  worker.child = std::move(child);
  worker.started = started;
  try {
    worker.watch =
        Supervisor::instance().watch(worker.child->pidfd(), [self = weak_from_this(), index] {
          if (const auto core = self.lock()) core->on_death(index);
        });
  } catch (...) {  // whom nobody watches must not run
    worker.child->signal(SIGKILL);
    worker.child->wait(std::nullopt);
    worker.child->collect();
    worker.child.reset();
    throw;
  }
  if (terminated_) worker.child->signal(SIGKILL);
}

void Core::require_own_process(const char* call) const {
  if (owner_ == fork_epoch()) return;
  throw StateError(std::string(call) +
                   " on a pool in a process that did not make it; make a pool "
                   "of its own there");
}

void Core::refuse_ended() {
  if (broken_ != nullptr) std::rethrow_exception(broken_);
  if (closed_) throw PoolClosed("a call to a pool that was closed or terminated; make a new pool");
}

Batch* Core::make_batch(Writer& writer, const BatchPlan& plan) {
  const std::size_t control = control_bytes(plan.items, plan.chunks(), plan.result_stride);
  const bool inside = plan.payload >= sizeof(Batch) + control;
  const std::uint64_t bytes = writer.size();
  const CodeAddress entry = code_address(plan.entry);
  require_module(entry, loaded_, writer.call());
  require_modules(writer, loaded_);
  void* block = writer.finish();
  std::byte* area = nullptr;
  if (inside) {
    area = static_cast<std::byte*>(block) + sizeof(Batch);
  } else {
    try {
      area = static_cast<std::byte*>(allocate(control));
    } catch (...) {
      deallocate(block);
      throw;
    }
    // Plain results are not read before they are written.
    const std::size_t plain =
        plan.result_kind == ResultKind::Boxed ? 0 : std::size_t{plan.items} * plan.result_stride;
    std::memset(area, 0, control - plain);
  }
  auto* batch = new (block) Batch{};
  batch->entry = entry;
  batch->bytes = bytes;
  batch->payload = plan.payload;
  batch->items_at = plan.items_in_place != nullptr
                        ? plan.items_in_place
                        : static_cast<const std::byte*>(block) + plan.items_at;
  batch->items = plan.items;
  batch->chunk_items = plan.chunk_items;
  batch->chunks = plan.chunks();
  batch->item_stride = plan.item_stride;
  batch->result_stride = plan.result_stride;
  batch->result_kind = plan.result_kind;
  batch->stop_on_error = plan.stop_on_error;
  batch->stamped = plan.stamped;
  batch->control = inside ? nullptr : area;
  batch->statuses = reinterpret_cast<std::atomic<std::uint8_t>*>(area + batch->chunks * 4);
  batch->results = area + ((batch->chunks * std::size_t{4} + batch->items + 15) & ~std::size_t{15});
  batch->states = reinterpret_cast<std::atomic<std::uint32_t>*>(area);
  set_block_kind(block, BlockKind::Batch);
  return batch;
}

std::shared_ptr<BatchState> Core::submit(Writer& writer, const BatchPlan& plan,
                                         const TaskOptions& task) {
  require_own_process("a call");
  if (options_.max_pending != 0) wait_for_room();
  Batch* batch = make_batch(writer, plan);
  const auto timeout = task.timeout.count() > 0 ? task.timeout : options_.task_timeout;
  const int retries = task.retries >= 0 ? task.retries : options_.retries;
  auto* made = new CallState(shared_from_this(), batch, retries, timeout, task, plan.keep);
  batch->owner = made;
  batch->timed = timeout.count() > 0;
  const auto drop_call = [](CallState* state) { state->core_->drop(state); };
  std::shared_ptr<CallState> call(made, drop_call);
  bool wake = false;
  try {
    std::lock_guard guard(mutex_);
    if (batch->chunks != 0) {
      refuse_ended();
      push(*made);
      wake = batch->chunks > 1 || wants_wake();
    }
    sweep_limbo(2);
    if (options_.max_pending != 0) pending_.push_back(call);
    if (batch->timed != 0) arm_timer(timeout);
  } catch (...) {
    call->drop_pending();
    throw;
  }
  if (wake) wake_workers(*shared_, batch->chunks > 1 ? INT32_MAX : 1);
  return call;
}

void Core::push(CallState& call) {
  Lane& lane = *lanes_[lane_for(call.thread_, call.priority_)].lane;
  const std::uint64_t tail = lane.tail.load(std::memory_order_relaxed);
  if (tail - lane.head.load(std::memory_order_acquire) > lane.ring.load()->mask) grow_ring(lane);
  Ring* ring = lane.ring.load(std::memory_order_relaxed);
  Batch& batch = call.batch();
  ring->cells[tail & ring->mask].store(&batch, std::memory_order_release);
  batch.lane = &lane;
  batch.cell = tail + 1;  // 0: never in a lane
  lane.tail.store(tail + 1, std::memory_order_seq_cst);
}

std::size_t Core::lane_for(std::thread::id thread, int priority) {
  const auto is_its = [&](const LaneUse& use) {
    return use.thread == thread && use.lane->priority.load(std::memory_order_relaxed) == priority;
  };
  if (is_its(lanes_[last_lane_])) return last_lane_;
  std::size_t at = lanes_.size();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (is_its(lanes_[i])) return last_lane_ = i;
    if (at == lanes_.size() && lanes_[i].lane->empty()) at = i;
  }
  if (at == lanes_.size()) at = add_lane();
  lanes_[at].thread = thread;
  lanes_[at].lane->priority.store(priority, std::memory_order_relaxed);
  return last_lane_ = at;
}

std::size_t Core::add_lane() {
  Lanes* all = shared_->lanes.load(std::memory_order_relaxed);
  const std::uint32_t count = all->count.load(std::memory_order_relaxed);
  lanes_.reserve(lanes_.size() + 1);
  if (count == all->room) {
    Lanes* larger = make_lanes(2 * all->room);
    for (std::uint32_t i = 0; i < count; ++i) larger->lanes[i].store(all->lanes[i].load());
    larger->count.store(count, std::memory_order_relaxed);
    keep_old(all);
    shared_->lanes.store(larger, std::memory_order_release);
    all = larger;
  }
  auto* lane = new (allocate(sizeof(Lane))) Lane{};
  try {
    lane->ring.store(make_ring(first_ring), std::memory_order_relaxed);
  } catch (...) {
    deallocate(lane);
    throw;
  }
  lanes_.push_back({lane, {}});
  all->lanes[count].store(lane, std::memory_order_relaxed);
  all->count.store(count + 1, std::memory_order_seq_cst);
  return count;
}

// What a worker may still read.
void Core::keep_old(void* block) { old_.push_back(block); }

void Core::grow_ring(Lane& lane) {
  Ring* old = lane.ring.load(std::memory_order_relaxed);
  Ring* ring = make_ring((old->mask + 1) * 2);
  const std::uint64_t tail = lane.tail.load(std::memory_order_relaxed);
  for (std::uint64_t i = lane.head.load(std::memory_order_acquire); i < tail; ++i) {
    ring->cells[i & ring->mask].store(old->cells[i & old->mask].load(std::memory_order_relaxed),
                                      std::memory_order_relaxed);
  }
  keep_old(old);
  lane.ring.store(ring, std::memory_order_release);
}

void Core::wait_for_room() {
  // Let go only after the lock, because dropping the last of a call takes it.
  std::vector<std::shared_ptr<BatchState>> done;
  std::unique_lock lock(mutex_);
  for (;;) {
    while (!pending_.empty() && pending_.front()->ready()) {
      done.push_back(std::move(pending_.front()));
      pending_.pop_front();
    }
    if (pending_.size() < options_.max_pending) return;
    const std::shared_ptr<BatchState> first = pending_.front();
    lock.unlock();
    first->wait(std::nullopt);
    lock.lock();
  }
}

// --- dropped calls -------------------------------------------------------------------------

// REQUIRES: the batch is done. No worker looks at it, or will.
bool Core::unused_now(Batch& batch) noexcept {
  if (batch.cell != 0) {
    Lane& lane = *static_cast<Lane*>(batch.lane);
    std::uint64_t head = lane.head.load(std::memory_order_seq_cst);
    // The worker that took it may have died before it passed the cell.
    if (head == batch.cell - 1 && lane.head.compare_exchange_strong(head, head + 1)) ++head;
    if (head < batch.cell) return false;
  }
  for (std::uint32_t i = 0; i < shared_->workers; ++i) {
    if (shared_->slots[i].batch.load(std::memory_order_seq_cst) == &batch) return false;
  }
  return true;
}

void Core::drop(CallState* call) noexcept {
  const std::shared_ptr<Core> keep = call->core_;  // it may be the last
  if (owner_ != fork_epoch()) return;              // a forked copy: the memory is not ours
  std::unique_lock lock(mutex_);
  if (call->ready() && unused_now(call->batch())) {
    lock.unlock();
    delete call;
  } else {
    limbo_.push_back(call);
  }
}

void Core::sweep_limbo(std::size_t most) noexcept {
  for (; most != 0 && !limbo_.empty(); --most) {
    CallState* call = limbo_.front();
    if (!call->ready() || !unused_now(call->batch())) return;
    limbo_.pop_front();
    call->core_.reset();  // this, which lives
    delete call;
  }
}

// --- the pool as a whole -------------------------------------------------------------------

std::optional<std::size_t> Core::wait_first(const std::vector<std::shared_ptr<BatchState>>& batches,
                                            Deadline deadline) {
  require_own_process("next()");
  std::optional<std::size_t> first;
  const auto find = [&] {
    first.reset();
    for (std::size_t i = 0; i < batches.size(); ++i) {
      if (batches[i]->ready() && (!first || batches[i]->stamp() < batches[*first]->stamp())) {
        first = i;
      }
    }
    return first.has_value();
  };
  if (spin_until(spin(), find)) return first;
  shared_->stream_waiters.fetch_add(1, std::memory_order_seq_cst);
  for (;;) {
    const std::uint32_t seen = shared_->stream_event.load(std::memory_order_acquire);
    if (find()) break;
    if (futex_wait(shared_->stream_event, seen, deadline) == WaitResult::TimedOut) {
      find();
      break;
    }
  }
  shared_->stream_waiters.fetch_sub(1, std::memory_order_relaxed);
  return first;
}

void Core::call_back(CallState& call, std::function<void()> function) {
  require_own_process("a callback");
  std::shared_ptr<Callbacks> callbacks;
  {
    const std::lock_guard guard(mutex_);
    if (callbacks_ == nullptr) callbacks_ = Callbacks::instance();
    callbacks = callbacks_;
  }
  callbacks->add(this, call.shared_from_this(), call.batch(), *shared_, std::move(function));
}

void Core::close() {
  require_own_process("close()");
  std::lock_guard guard(mutex_);
  closed_ = true;
  shared_->closing.store(1, std::memory_order_seq_cst);
  wake_workers(*shared_, INT32_MAX);
}

void Core::terminate() {
  require_own_process("terminate()");
  std::lock_guard guard(mutex_);
  closed_ = terminated_ = true;
  shared_->closing.store(1, std::memory_order_seq_cst);
  for (Worker& worker : workers_) {
    if (worker.child) worker.child->signal(SIGKILL);
  }
  if (all_gone()) refuse_rest(was_terminated());
}

bool Core::all_gone() const {
  return replacing_ == 0 && std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) {
           return worker.child == nullptr;
         });
}

bool Core::join(Deadline deadline) {
  require_own_process("join()");
  std::unique_lock lock(mutex_);
  if (!closed_)
    throw StateError("join() on a pool that takes calls; close() or terminate() it first");
  const auto gone = [this] { return all_gone(); };
  if (deadline) {
    if (!changed_.wait_until(lock, *deadline, gone)) return false;
  } else {
    changed_.wait(lock, gone);
  }
  // Not under the lock: a callback may be waiting for it, and dropping the last of a call takes it.
  if (const std::shared_ptr<Callbacks> callbacks = callbacks_) {
    lock.unlock();
    if (!callbacks->wait_for(this, deadline)) return false;
    lock.lock();
  }
  // The calls hold the pool, so it would keep itself by those it keeps.
  std::deque<std::shared_ptr<BatchState>> pending = std::exchange(pending_, {});
  std::vector<Supervisor::Id> watches{std::exchange(timer_, 0), std::exchange(nudge_, 0)};
  for (Worker& worker : workers_) watches.push_back(std::exchange(worker.watch, 0));
  lock.unlock();
  pending.clear();
  if (!Supervisor::instance().on_its_thread()) {
    for (const Supervisor::Id watch : watches) {
      if (watch != 0) Supervisor::instance().forget(watch);
    }
    Supervisor::instance().end_if_idle();
  }
  lock.lock();
  sweep_limbo(limbo_.size());
  return true;
}

}  // namespace procession::detail

namespace procession {

detail::PoolCore& PoolView::core() const {
  if (core_ == nullptr) {
    throw StateError("a call on a Pool that was moved from; use the one that it was moved to");
  }
  return *core_;
}

Pool::Pool(PoolOptions options)
    : PoolView(detail::PoolCore::make(std::move(options), nullptr), {}) {}

Pool::~Pool() {
  if (core_ == nullptr) return;
  try {
    core_->terminate();
    core_->join(std::nullopt);
  } catch (const StateError&) {  // a forked copy: the pool is its parent's
  }
}

Pool& Pool::operator=(Pool&& other) noexcept {
  Pool ending(std::move(*this));
  core_ = std::move(other.core_);
  return *this;
}

void Pool::close() { core().close(); }
void Pool::terminate() { core().terminate(); }
void Pool::join() { core().join(std::nullopt); }
std::size_t Pool::processes() const { return core().processes(); }
PoolStats Pool::stats() const { return core().stats(); }

}  // namespace procession
