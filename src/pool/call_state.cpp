// A call as who made it sees it.
#include <algorithm>

#include "memory/heap.hpp"
#include "pool/core.hpp"
#include "procession/detail/exceptions.hpp"
#include "procession/detail/progress.hpp"
#include "procession/detail/wait_entry.hpp"
#include "sync/wait_source.hpp"

namespace procession::detail {
namespace {

ItemStatus status_of(const Batch& batch, std::uint32_t item) {
  return static_cast<ItemStatus>(batch.statuses[item].load(std::memory_order_acquire));
}

std::atomic<void*>& box(const Batch& batch, std::uint32_t item) {
  return *reinterpret_cast<std::atomic<void*>*>(batch.results +
                                                std::size_t{item} * batch.result_stride);
}

}  // namespace

CallState::~CallState() {
  free_boxes(*batch_);
  deallocate(batch_->control);
  deallocate(batch_);
}

bool CallState::ready() {
  std::lock_guard guard(mutex_);
  const bool dropped = batch_->dropped.load(std::memory_order_acquire) != 0;
  for (; cursor_ < batch_->chunks; ++cursor_) {
    std::uint32_t state = batch_->states[cursor_].load(std::memory_order_acquire);
    // What has not begun when the rest is dropped never will.
    if (dropped && state == Batch::pending &&
        batch_->states[cursor_].compare_exchange_strong(state, Batch::finished)) {
      continue;
    }
    if (state != Batch::finished) return false;
  }
  return true;
}

// Under the lock, so that whoever finds the call ready finds the reason too.
bool CallState::refuse(const std::exception_ptr& why) {
  std::lock_guard guard(mutex_);
  bool refused = false;
  for (std::uint32_t chunk = cursor_; chunk < batch_->chunks; ++chunk) {
    std::uint32_t expected = Batch::pending;
    refused |= batch_->states[chunk].compare_exchange_strong(expected, Batch::finished);
  }
  if (refused) refusal_ = why;
  return refused;
}

// How a result is waited for among other things.
struct CallWait {
  static CallState& call(void* object) noexcept { return *static_cast<CallState*>(object); }
  static std::uint64_t begin(void* object) noexcept {
    call(object).batch_->waiters.fetch_add(1, std::memory_order_seq_cst);
    return 0;
  }
  static bool ready(void* object, std::uint64_t) { return call(object).ready(); }
  static bool prepare(void* object, std::uint64_t, SleepWord& word) {
    word.word = &call(object).batch_->event;
    word.expected = word.word->load(std::memory_order_acquire);
    return call(object).ready();
  }
  static void pass_on(void*) noexcept {}  // all are woken
  static void end(void* object) noexcept {
    call(object).batch_->waiters.fetch_sub(1, std::memory_order_relaxed);
  }
  static constexpr WaitOperations operations{begin, ready, prepare, pass_on, end};
};

WaitEntry result_entry(BatchState& batch) {
  auto& call = static_cast<CallState&>(batch);  // of which there is no other kind
  call.require_own_process();
  return {.operations = &CallWait::operations, .object = &call};
}

void CallState::require_own_process() const { core_->require_own_process("wait()"); }

bool CallState::wait(Deadline deadline) {
  core_->require_own_process("get()");
  if (spin_until(core_->spin(), [this] { return ready(); })) return true;
  // A call of one item has no progress but its end.
  Progress progress(core_->shows_progress() && batch_->chunks > 1, batch_->items);
  if (!progress.shown()) return sleep_until(deadline);
  for (;;) {
    const auto next = std::chrono::steady_clock::now() + Progress::pause;
    const bool last = deadline && *deadline <= next;
    if (sleep_until(last ? *deadline : next)) return true;
    if (last) return false;
    progress.show(items_done());
  }
}

std::size_t CallState::items_done() const {
  const auto none = static_cast<std::uint8_t>(ItemStatus::None);
  std::size_t done = 0;
  for (std::uint32_t i = 0; i < batch_->items; ++i) {
    done += batch_->statuses[i].load(std::memory_order_relaxed) != none;
  }
  return done;
}

bool CallState::sleep_until(Deadline deadline) {
  batch_->waiters.fetch_add(1, std::memory_order_seq_cst);
  bool is_ready = false;
  for (;;) {
    const std::uint32_t seen = batch_->event.load(std::memory_order_acquire);
    is_ready = ready();
    if (is_ready) break;
    if (futex_wait(batch_->event, seen, deadline) == WaitResult::TimedOut) {
      is_ready = ready();
      break;
    }
  }
  batch_->waiters.fetch_sub(1, std::memory_order_relaxed);
  return is_ready;
}

void CallState::drop_pending() {
  core_->require_own_process("leaving an imap");
  batch_->dropped.store(1, std::memory_order_seq_cst);
}

bool CallState::cancel() { return core_->cancel(*this); }

void CallState::on_ready(std::function<void()> call) { core_->call_back(*this, std::move(call)); }

std::uint32_t CallState::first_failure() const {
  // A dropped item is the consequence of another's failure, which is the one to tell of.
  if (cancelled_.load(std::memory_order_acquire)) return 0;
  if (batch_->troubled.load(std::memory_order_relaxed) == 0 &&
      batch_->dropped.load(std::memory_order_relaxed) == 0 && refusal_ == nullptr) {
    return batch_->items;
  }
  std::uint32_t first = batch_->items;
  for (std::uint32_t item = 0; item < batch_->items; ++item) {
    const ItemStatus status = status_of(*batch_, item);
    if (status == ItemStatus::Value) continue;
    if (status == ItemStatus::Error || status == ItemStatus::Lost) return item;
    if (first == batch_->items) first = item;
  }
  return first;
}

bool CallState::has_value(std::uint32_t item) const {
  return !cancelled_.load(std::memory_order_acquire) &&
         status_of(*batch_, item) == ItemStatus::Value;
}

void CallState::throw_failure(std::uint32_t item) const {
  const bool cancelled = cancelled_.load(std::memory_order_acquire);
  const ItemStatus status = cancelled ? ItemStatus::Dropped : status_of(*batch_, item);
  if (status == ItemStatus::Error) {
    if (void* error = box(*batch_, item).load(std::memory_order_acquire)) {
      Reader reader(static_cast<std::byte*>(error), block_size(error));
      rethrow_remote(reader);
    }
    throw OutOfMemory(
        "the task threw an exception, and the family memory had no room to send it; "
        "raise its limit, or free handles and results");
  }
  if (const auto loss = losses_.find(item); !cancelled && loss != losses_.end()) {
    const Death& death = loss->second.death;
    throw WorkerDied(death.pid, death.exitcode, death.reason, loss->second.attempts,
                     name_.empty() ? std::string() : "task " + name_);
  }
  std::unique_lock lock(mutex_);
  const std::exception_ptr refusal = refusal_;
  lock.unlock();
  if (!cancelled && refusal != nullptr) std::rethrow_exception(refusal);
  throw TaskCancelled(
      "the task was cancelled before it had a result; submit it again if you "
      "still want it");
}

const std::byte* CallState::flat(std::uint32_t item) const {
  return batch_->results + std::size_t{item} * batch_->result_stride;
}

Reader CallState::boxed(std::uint32_t item) const {
  void* block = box(*batch_, item).load(std::memory_order_acquire);
  return {static_cast<std::byte*>(block), block_size(block)};
}

void free_boxes(Batch& batch) noexcept {
  if (batch.result_kind != ResultKind::Boxed && batch.troubled.load() == 0) return;
  for (std::uint32_t item = 0; item < batch.items; ++item) {
    const ItemStatus status = status_of(batch, item);
    // A boxed result is there before its status says so; its worker may have died in between.
    const bool boxed = status == ItemStatus::Error || status == ItemStatus::Failing ||
                       batch.result_kind == ResultKind::Boxed;
    if (!boxed) continue;
    auto& home = box(batch, item);
    if (void* block = home.load(std::memory_order_acquire)) {
      // Cleared afterwards: what nobody names, in a slab that nobody owns, is found by no sweep.
      deallocate_if_home(block, home);
      home.store(nullptr, std::memory_order_release);
    }
  }
}

std::uint32_t checked_items(std::size_t count) {
  if (count >= no_item) {
    throw std::length_error("a map has " + std::to_string(count) +
                            " items; at most 4294967294 go in one call");
  }
  return static_cast<std::uint32_t>(count);
}

void throw_not_ready(std::string_view call) {
  throw StateError(std::string(call) + " on a result that is not ready; wait() for it first");
}

void throw_result_timeout() {
  throw TimeoutError(
      "the result was not ready in time; the task goes on, ask again or cancel() it");
}

}  // namespace procession::detail
