// Who waits for a Condition has a node, found by the number of its thread's slot. Its word: the
// generation of the slot above; below, a futex of its own: asleep_bit while it waits, 0 when it has
// been notified. The whole is 0 while nobody has the node.
//
// Invariants:
//   1. A node gets a waiter, and a waiter is notified, under the guard. A waiter takes itself away
//      under it while it is not notified; else it does so when it has the lock again.
//   2. A waiter is on duty (sleeper.hpp) as long as it has a node. So when it dies the others look
//      for it, under the guard: its node is set free, and if it was notified, the next one is.
//   3. Who notifies is on duty until it has woken.
//   4. The log says that a dead waiter's notification goes to that waiter of that ticket. Who takes
//      the guard over from a dead holder does the rest, which can be done twice.
//   5. Tickets grow in the order of the waits; nobody has that of another.
// The single stores: begin to wait, be notified, go away: the word of the node.
#include "procession/condition.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "procession/detail/rlock_core.hpp"
#include "sync/lock_core.hpp"
#include "sync/quiet_guard.hpp"
#include "sync/sleeper.hpp"
#include "sync/slot_chunks.hpp"
#include "sync/thread_table.hpp"

namespace procession {
namespace detail {
namespace {

constexpr std::uint64_t asleep_bit = std::uint64_t{1} << 31;

struct WaitNode {
  std::atomic<std::uint64_t> word;
  std::uint64_t ticket;  // written under the guard
};
using WaitNodes = SlotChunks<WaitNode>;
static_assert(WaitNodes::chunk_count == ConditionShared::chunk_count);

const std::atomic<std::uint32_t>& futex_of(const WaitNode& node) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const void* low_half = &node.word;
  return *static_cast<const std::atomic<std::uint32_t>*>(low_half);
}

bool is_waiting(const WaitNode& node) noexcept {
  return (node.word.load(std::memory_order_acquire) & asleep_bit) != 0;
}

std::string condition_text(const ConditionShared& shared) {
  return shared.head.name[0] == '\0' ? "an unnamed condition"
                                     : "condition '" + std::string(shared.head.name) + "'";
}

// The guard of a condition, with what a dead holder left made good.
class Waiters {
 public:
  Waiters(ConditionShared& shared, const CallingThread& me)
      : shared_(shared), me_(me), guard_(shared.guard, shared.head) {
    finish_log();
  }

  void join(WaitNode& node) {
    if (node.word.load(std::memory_order_acquire) != 0) pass_on_from_the_dead();
    if (node.word.load(std::memory_order_acquire) != 0) {
      throw StateError("wait() of " + condition_text(shared_) +
                       " in a signal handler that interrupts a wait of the same thread for it; "
                       "notify it there, and wait elsewhere");
    }
    node.ticket = shared_.next_ticket++;
    const std::uint64_t generation = me_.owner >> 32 << 32;
    node.word.store(generation | asleep_bit, std::memory_order_release);
  }

  // Invariant 2.
  void pass_on_from_the_dead() {
    WaitNodes::for_each(shared_.chunks, [&](std::uint32_t slot, WaitNode& node) {
      const std::uint64_t word = node.word.load(std::memory_order_acquire);
      if (word == 0 || !is_dead(slot, word)) return;
      if ((word & asleep_bit) == 0) {
        pass_on(slot, node);
      } else {
        node.word.store(0, std::memory_order_release);
      }
    });
  }

  void notify(std::size_t count) {
    pass_on_from_the_dead();
    std::vector<Waiter> all = living();
    const std::size_t lucky = std::min(count, all.size());
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(lucky);
    std::partial_sort(all.begin(), end, all.end());
    for (auto at = all.begin(); at != end; ++at) tell(*at->node);
  }

  // Takes a living waiter away that has an exception to throw.
  void abandon(WaitNode& node) {
    const std::uint64_t word = node.word.load(std::memory_order_acquire);
    const bool notified = word != 0 && (word & asleep_bit) == 0;
    node.word.store(0, std::memory_order_release);
    if (notified) notify(1);
  }

 private:
  struct Waiter {
    std::uint64_t ticket;
    std::uint32_t slot;
    WaitNode* node;
    bool operator<(const Waiter& other) const noexcept { return ticket < other.ticket; }
  };

  static bool is_dead(std::uint32_t slot, std::uint64_t word) noexcept {
    return owner_is_dead(thread_slot(slot), static_cast<std::uint32_t>(word >> 32));
  }

  [[nodiscard]] std::vector<Waiter> living() {
    std::vector<Waiter> all;
    WaitNodes::for_each(shared_.chunks, [&](std::uint32_t slot, WaitNode& node) {
      const std::uint64_t word = node.word.load(std::memory_order_acquire);
      if ((word & asleep_bit) == 0 || is_dead(slot, word)) return;
      all.push_back({node.ticket, slot, &node});
    });
    return all;
  }

  // Invariant 3. REQUIRES: it waits.
  void tell(WaitNode& node) noexcept {
    Sleeper waker(me_, futex_of(node));
    waker.go_on_duty();
    node.word.fetch_and(~asleep_bit, std::memory_order_acq_rel);
    waker.wake_one();
  }

  // Invariant 4.
  void pass_on(std::uint32_t from, WaitNode& node) {
    const std::vector<Waiter> all = living();
    const auto next = std::min_element(all.begin(), all.end());
    if (next == all.end()) {
      node.word.store(0, std::memory_order_release);
      return;
    }
    shared_.log.from = from;
    shared_.log.to = next->slot;
    shared_.log.ticket = next->ticket;
    shared_.log.active.store(1, std::memory_order_release);
    finish_log();
  }

  void finish_log() noexcept {
    NotificationLog& log = shared_.log;
    if (log.active.load(std::memory_order_acquire) == 0) return;
    WaitNode& to = *WaitNodes::find(shared_.chunks, log.to);
    if (to.ticket == log.ticket && is_waiting(to)) tell(to);
    WaitNodes::find(shared_.chunks, log.from)->word.store(0, std::memory_order_release);
    log.active.store(0, std::memory_order_release);
  }

  ConditionShared& shared_;
  const CallingThread& me_;
  QuietGuard guard_;
};

// One wait, from the call to the return.
class Wait {
 public:
  Wait(ConditionShared& shared, const CallingThread& me, TimePoint deadline)
      : shared_(shared),
        me_(me),
        node_(WaitNodes::make(shared.chunks, Owner::from(me.owner).slot)),
        deadline_(deadline),
        sleeper_(me, futex_of(node_)) {}

  bool run() {
    LockShared& lock = *shared_.lock;
    sleeper_.go_on_duty();  // invariant 2
    Waiters(shared_, me_).join(node_);
    const std::uint32_t depth = let_go(lock);
    try {
      const bool notified = sleep();
      retake(lock, depth);
      node_.word.store(0, std::memory_order_release);
      return notified;
    } catch (...) {
      Waiters(shared_, me_).abandon(node_);
      if (!refused_) retake(lock, depth);
      throw;
    }
  }

 private:
  std::uint32_t let_go(LockShared& lock) const {
    if (shared_.recursive != 0) return rlock_release_all(lock.core, lock.head);
    lock_release(lock.core, lock.head);
    return 0;
  }

  // Throws OwnerDied, DeadlockError.
  void retake(LockShared& lock, std::uint32_t depth) {
    try {
      if (shared_.recursive != 0) {
        rlock_acquire_with(lock.core, lock.head, depth);
      } else {
        lock_acquire(lock.core, lock.head);
      }
    } catch (...) {
      refused_ = true;
      note_lost(lock.core, std::max(depth, 1U));
      throw;
    }
  }

  bool sleep() {
    Deadline deadline;
    if (deadline_ != TimePoint::max()) deadline = deadline_;
    while (is_waiting(node_)) {
      const auto asleep = static_cast<std::uint32_t>(asleep_bit);
      const bool in_time = sleeper_.sleep(asleep, deadline) != WaitResult::TimedOut;
      if (!is_waiting(node_)) break;
      Waiters waiters(shared_, me_);
      if (in_time) {
        waiters.pass_on_from_the_dead();
      } else if (is_waiting(node_)) {
        node_.word.store(0, std::memory_order_release);
        return false;
      }
    }
    return true;
  }

  ConditionShared& shared_;
  const CallingThread& me_;
  WaitNode& node_;
  const TimePoint deadline_;
  Sleeper sleeper_;
  bool refused_ = false;  // the lock was, and will be
};

}  // namespace

Object* create_condition(Object* lock, bool recursive, std::string_view name) {
  Object* object = create_object(ObjectKind::Condition, sizeof(ConditionShared), name,
                                 ConditionShared::chunk_count);
  auto& shared = *reinterpret_cast<ConditionShared*>(object);
  shared.lock = reinterpret_cast<LockShared*>(lock);
  shared.recursive = recursive ? 1 : 0;
  shared.guard.on_death = OwnerDeath::Silent;
  try {
    carry_reference(object, lock);
  } catch (...) {
    release(object);
    throw;
  }
  return object;
}

bool condition_wait(ConditionShared& shared, TimePoint deadline) {
  const CallingThread& me = this_thread();
  if (!lock_is_mine(shared.lock->core)) {
    throw StateError("wait() of " + condition_text(shared) +
                     " by a thread that does not hold its lock; acquire it first, and look there "
                     "whether there is anything to wait for");
  }
  return Wait(shared, me, deadline).run();
}

void condition_notify(ConditionShared& shared, std::size_t count) {
  Waiters(shared, this_thread()).notify(count);
}

void condition_lock(ConditionShared& shared) {
  auto& [head, core] = *shared.lock;
  shared.recursive != 0 ? rlock_acquire(core, head) : lock_acquire(core, head);
}

bool condition_lock_until(ConditionShared& shared, TimePoint deadline) {
  auto& [head, core] = *shared.lock;
  return shared.recursive != 0 ? rlock_acquire_until(core, head, deadline)
                               : lock_acquire_until(core, head, deadline);
}

bool condition_try_lock(ConditionShared& shared) {
  auto& [head, core] = *shared.lock;
  return shared.recursive != 0 ? rlock_try_acquire(core, head) : lock_try_acquire(core, head);
}

void condition_unlock(ConditionShared& shared) {
  auto& [head, core] = *shared.lock;
  shared.recursive != 0 ? rlock_release(core, head) : lock_release(core, head);
}

bool condition_recover(ConditionShared& shared) {
  auto& [head, core] = *shared.lock;
  return shared.recursive != 0 ? rlock_recover(core, head) : lock_recover(core, head);
}

}  // namespace detail

namespace {

detail::Object* lock_object(const detail::HandleBase& lock, std::string_view type) {
  if (lock.handle_object() == nullptr) detail::throw_empty_handle(type);
  return lock.handle_object();
}

}  // namespace

Condition::Condition(const Lock& lock, const Name& name)
    : HandleBase(detail::create_condition(lock_object(lock, "Lock"), false, name.text)) {}

Condition::Condition(const RLock& lock, const Name& name)
    : HandleBase(detail::create_condition(lock_object(lock, "RLock"), true, name.text)) {}

Condition Condition::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return Condition(object);
}

void Condition::notify(int n) const {
  if (n < 0) {
    throw std::invalid_argument("notify(" + std::to_string(n) + ") of " +
                                detail::condition_text(shared()) +
                                "; the number must be 0 or more");
  }
  detail::condition_notify(shared(), static_cast<std::size_t>(n));
}

void Condition::notify_all() const {
  detail::condition_notify(shared(), std::numeric_limits<std::size_t>::max());
}

}  // namespace procession
