// Whether a sleeping worker is woken for a call, or is left to sleep because the calls are short.
//
// A wake-up takes the caller 1 to 10 us and a CPU from somebody. Where calls take less than that,
// one worker that is awake does them faster alone: with two CPUs, a worker woken in vain looks for
// work in the place of the thread that makes it. Nobody can tell how long the next call takes; so
// it is inferred from the pace of those before it, and looked at again a millisecond later.
#include <utility>

#include "pool/core.hpp"

namespace procession::detail {
namespace {

constexpr std::chrono::milliseconds nudge_after{1};
constexpr unsigned looks = 256;              // calls from one look at the pace to the next
constexpr std::uint64_t short_call = 3'000;  // nanoseconds

}  // namespace

// After a call was put in a lane: is somebody to be woken for it?
bool Core::wants_wake() {
  if (++submits_ >= looks) learn_pace();
  const std::uint32_t sleepers = shared_->sleepers.load(std::memory_order_seq_cst);
  if (sleepers == 0) return false;
  const bool spinner = shared_->spinners.load(std::memory_order_seq_cst) > 0;
  if (shared_->lazy.load(std::memory_order_relaxed) == 0) return !spinner;
  if (sleepers >= shared_->workers) return true;
  // Who spins takes one; for what is more, somebody has to look.
  std::uint64_t waiting = 0;
  for (const LaneUse& each : lanes_) {
    waiting += each.lane->tail.load(std::memory_order_relaxed) -
               each.lane->head.load(std::memory_order_acquire);
  }
  if (!spinner || waiting > 1) arm_nudge();
  return false;
}

// How long calls take: what workers were busy, by what they have done, the last of it counting
// most.
void Core::learn_pace() {
  submits_ = 0;
  const std::uint64_t now = monotonic_ns();
  std::uint64_t busy = 0, tasks = 0;
  for (std::uint32_t i = 0; i < shared_->workers; ++i) {
    const WorkerSlot& slot = shared_->slots[i];
    tasks += workers_[i].tasks_before + slot.tasks.load(std::memory_order_relaxed);
    if (slot.ready.load(std::memory_order_acquire) == 0) continue;
    const std::uint64_t since = slot.idle_since.load(std::memory_order_relaxed);
    const std::uint64_t idle = slot.ready_at.load(std::memory_order_relaxed) +
                               slot.idle.load(std::memory_order_relaxed) +
                               (since != 0 && now > since ? now - since : 0);
    if (now > idle) busy += now - idle;
  }
  const std::uint64_t new_tasks = tasks - std::exchange(pace_.tasks, tasks);
  const std::uint64_t before = std::exchange(pace_.busy, busy);
  if (new_tasks == 0) return;
  pace_.recent_tasks = pace_.recent_tasks / 2 + new_tasks;
  pace_.recent_busy = pace_.recent_busy / 2 + (busy > before ? busy - before : 0);
  const bool lazy = pace_.recent_busy < pace_.recent_tasks * short_call;
  // What was submitted before counted on being passed on.
  if (lazy && shared_->lazy.load(std::memory_order_relaxed) == 0) arm_nudge();
  shared_->lazy.store(lazy ? 1 : 0, std::memory_order_seq_cst);
}

void Core::arm_nudge() {
  if (nudge_ != 0) return;
  nudge_ = Supervisor::instance().at(std::chrono::steady_clock::now() + nudge_after,
                                     [self = weak_from_this()] {
                                       if (const auto core = self.lock()) core->on_nudge();
                                     });
}

// On the supervisor's thread.
void Core::on_nudge() {
  const std::lock_guard guard(mutex_);
  nudge_ = 0;
  if (terminated_) return;
  learn_pace();
  if (!shared_->has_work() || shared_->sleepers.load(std::memory_order_seq_cst) == 0) return;
  wake_workers(*shared_, shared_->lazy.load(std::memory_order_relaxed) != 0 ? 1 : INT32_MAX);
  arm_nudge();
}

}  // namespace procession::detail
