// Invariants:
//   1. `writer` is a core as in lock_core.cpp, whose owner is the one writer. While it has
//      draining_bit, that writer waits for the readers there are, and has touched nothing.
//   2. A share is an entry of `readers` that was stored before its thread found the word 0. Entry
//      and word are each written before the other is read, all sequentially consistent. So of a
//      reader and a writer that come together at least one sees the other: the reader then takes
//      its entry back, the writer waits for it. An entry that will be taken back is no share.
//      Marks (reader_table.hpp) are on the entries' side of this: set before, read after.
//   3. A thread with a share stores a greater count without looking at the word.
//   4. Without draining_bit, an owner in the word or a poisoned word means: no living thread has
//      a share. So a writer that recovers need not drain.
//   5. Only the writer with draining_bit sleeps on `drained`. It has read `drained` before the
//      entries, and watches the life tokens of all who had shares. Who takes an entry back to 0
//      and then finds draining_bit counts `drained` and wakes it; if it is killed on the way, its
//      token does.
// What is seldom needed is kept out of line, so that the usual way of each call is straight and
// short: between the two atomic operations of a reader's lock and unlock nothing else costs much.
// The single stores: lock: draining_bit taken off the word; unlock, death: those of the core;
// recover: the compare-exchange of a poisoned word; lock_shared, unlock_shared: that of the entry.
#include "sync/rw_lock_core.hpp"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "procession/errors.hpp"
#include "sync/lock_core.hpp"
#include "sync/lock_report.hpp"
#include "sync/sleeper.hpp"
#include "sync/wait_edge.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

static_assert(offsetof(RWLockShared, readers) == sizeof(Object));  // Object::homes

std::uint32_t shares_of(RWLockShared& lock, const CallingThread& me) noexcept {
  const ReaderEntry* entry = lock.readers.find(me);
  return entry == nullptr ? 0 : entry->mine(me);
}

// --- readers ---------------------------------------------------------------------------------

inline void wake_draining_writer(RWLockShared& lock) noexcept {
  if ((lock.writer.word.load(std::memory_order_seq_cst) & draining_bit) == 0) [[likely]]
    return;
  lock.drained.fetch_add(1, std::memory_order_acq_rel);
  futex_wake(lock.drained, INT_MAX);
}

struct ShareOf {
  RWLockShared& lock;
  ReaderEntry& entry;
  const CallingThread& me;
};

// Invariant 2.
inline bool take_share(RWLockShared& lock, ReaderEntry& entry, const CallingThread& me) noexcept {
  entry.set(me, 1);
  if (lock.writer.word.load(std::memory_order_seq_cst) == 0) [[likely]]
    return true;
  entry.set(me, 0);
  wake_draining_writer(lock);
  return false;
}

// The first share of this thread, the second and further ones, and those that must wait.
[[gnu::noinline]] bool share_slowly(RWLockShared& lock, const CallingThread& me,
                                    const Limit& limit) {
  if (const std::uint32_t count = shares_of(lock, me); count != 0) {
    if (count == std::numeric_limits<std::uint32_t>::max()) throw_too_deep(lock.head);
    lock.readers.find(me)->adjust(me, count + 1);
    return true;
  }
  ShareOf share{lock, lock.readers.get(me), me};
  Request request{limit.patience, limit.deadline};
  request.share = {[](void* context) noexcept {
                     const auto& one = *static_cast<ShareOf*>(context);
                     return take_share(one.lock, one.entry, one.me);
                   },
                   &share};
  return lock_attempt(lock.writer, lock.head, me, request) != Outcome::TimedOut;
}

[[gnu::noinline]] void unshare_slowly(RWLockShared& lock, const CallingThread& me) {
  const std::uint32_t count = shares_of(lock, me);
  if (count == 0) throw_no_share(lock.head);
  lock.readers.find(me)->adjust(me, count - 1);
}

// --- writers ---------------------------------------------------------------------------------

// The wait for the readers. REQUIRES: the word is the calling thread's, with draining_bit.
class Drain {
 public:
  Drain(RWLockShared& lock, const CallingThread& me, const Limit& limit) noexcept
      : lock_(lock), me_(me), limit_(limit), sleeper_(me, lock.drained), edge_(me) {}

  // False: the limit has passed. Throws DeadlockError.
  bool run() {
    while (lock_.readers.any()) {
      if (limit_.patience == Patience::None || expired()) return false;
      if (limit_.patience == Patience::ForEver && !std::exchange(looked_, true)) look_for_a_cycle();
      sleep();
    }
    return true;
  }

 private:
  bool expired() const noexcept {
    return limit_.patience == Patience::UntilDeadline && TimePoint::clock::now() >= limit_.deadline;
  }

  void look_for_a_cycle() {
    edge_.publish({WaitTarget::Kind::Readers, &lock_.readers}, lock_.head);
    auto cycle = edge_.find_deadlock();
    if (!cycle.empty()) throw DeadlockError(std::move(cycle));
  }

  void sleep() {
    const std::uint32_t seen = lock_.drained.load(std::memory_order_seq_cst);
    std::vector<Owner> readers = lock_.readers.collect();
    if (readers.empty()) return;
    std::erase_if(readers, [&](const Owner& reader) { return reader.word() == me_.owner; });
    Deadline deadline;
    if (limit_.patience == Patience::UntilDeadline && limit_.deadline != TimePoint::max()) {
      deadline = limit_.deadline;
    }
    (void)sleeper_.sleep(seen, readers, {settle, &lock_}, deadline);
  }

  // DeathNews. The dead are not counted any more; the sleeper is to look again.
  static void settle(void* context, std::uint64_t) noexcept {
    static_cast<RWLockShared*>(context)->drained.fetch_add(1, std::memory_order_acq_rel);
  }

  RWLockShared& lock_;
  const CallingThread& me_;
  const Limit& limit_;
  Sleeper sleeper_;
  PublishedEdge edge_;
  bool looked_ = false;
};

// From draining_bit to the writer, where there are readers; if not, the word is given back.
// REQUIRES: as for Drain.
[[gnu::noinline]] bool drain(RWLockShared& lock, const CallingThread& me, const Limit& limit) {
  bool alone = false;
  try {
    if (limit.patience == Patience::ForEver && shares_of(lock, me) != 0) {
      throw_self_deadlock(me, lock.head);
    }
    alone = Drain(lock, me, limit).run();
  } catch (...) {
    lock_release(lock.writer, lock.head);
    throw;
  }
  if (!alone) lock_release(lock.writer, lock.head);
  return alone;
}

// REQUIRES: as for Drain.
inline bool enter(RWLockShared& lock, const CallingThread& me, const Limit& limit) {
  if (lock.readers.any() && !drain(lock, me, limit)) return false;
  lock.writer.word.fetch_and(~draining_bit, std::memory_order_acq_rel);
  return true;
}

// Where the word is not 0.
[[gnu::noinline]] Outcome lock_slowly(RWLockShared& lock, const CallingThread& me,
                                      const Limit& limit, bool recover) {
  if (limit.patience == Patience::ForEver && shares_of(lock, me) != 0) {
    throw_self_deadlock(me, lock.head);
  }
  const Request request{limit.patience, limit.deadline, recover, draining_bit};
  const Outcome outcome = lock_attempt(lock.writer, lock.head, me, request);
  if (outcome != Outcome::Acquired) return outcome;
  return enter(lock, me, limit) ? Outcome::Acquired : Outcome::TimedOut;
}

inline Outcome lock_exclusive(RWLockShared& lock, const Limit& limit, bool recover) {
  const CallingThread& me = this_thread();
  std::uint64_t free = 0;
  if (!lock.writer.word.compare_exchange_strong(free, me.owner | draining_bit,
                                                std::memory_order_seq_cst)) {
    return lock_slowly(lock, me, limit, recover);
  }
  count_taken(me);
  return enter(lock, me, limit) ? Outcome::Acquired : Outcome::TimedOut;
}

}  // namespace

bool rw_lock(RWLockShared& lock, const Limit& limit) {
  // Without this look a call that fails would keep new readers waiting for a moment.
  if (limit.patience == Patience::None && !lock_is_taken(lock.writer)) {
    (void)this_thread();
    if (lock.readers.any()) return false;
  }
  return lock_exclusive(lock, limit, false) != Outcome::TimedOut;
}

bool rw_recover(RWLockShared& lock) {
  return lock_exclusive(lock, {Patience::ForEver}, true) == Outcome::Recovered;
}

void rw_unlock(RWLockShared& lock) {
  const CallingThread& me = this_thread();
  if (set_free(lock.writer, me)) [[likely]]
    return;
  if (!is_owner(lock.writer, me)) refuse_release(lock.writer, lock.head);
  lock_release(lock.writer, lock.head);
}

bool rw_lock_shared(RWLockShared& lock, const Limit& limit) {
  const CallingThread& me = this_thread();
  ReaderEntry* entry = lock.readers.find(me);
  if (entry != nullptr && entry->holds(me, 0) &&
      lock.writer.word.load(std::memory_order_relaxed) == 0 && take_share(lock, *entry, me))
      [[likely]] {
    return true;
  }
  return share_slowly(lock, me, limit);
}

void rw_unlock_shared(RWLockShared& lock) {
  const CallingThread& me = this_thread();
  ReaderEntry* entry = lock.readers.find(me);
  if (entry == nullptr || !entry->holds(me, 1)) [[unlikely]]
    return unshare_slowly(lock, me);
  entry->set(me, 0);
  wake_draining_writer(lock);
}

bool rw_is_taken(RWLockShared& lock) {
  (void)this_thread();
  const std::uint64_t word = lock.writer.word.load(std::memory_order_acquire);
  const bool abandoned = (word & draining_bit) != 0 && names_a_dead(word);
  return (word != 0 && !abandoned) || lock.readers.any();
}

}  // namespace procession::detail
