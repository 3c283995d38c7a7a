// Invariants of a core:
//   1. `word` is 0 while the lock is free; else it names its owner. With poisoned_bit the owner is
//      a dead one, and nobody holds the lock.
//   2. Who sleeps on the futex has found, in the same system call, the owner it knows and
//      waiters_bit. It watches that owner's life token, and is on duty (sleeper.hpp).
//   3. While anybody sleeps on the futex, waiters_bit is set, or somebody is on duty who will look
//      at the word or wake a sleeper. And one who sleeps watches the present owner, or somebody is
//      on duty as above. So whoever has slept wakes one more when it leaves, with or without the
//      lock: that one sets the bit again and watches the owner that it finds.
//   4. With draining_bit the owner is a writer that still waits for readers (rw_lock.cpp); what
//      the lock guards it has not touched, and its death only sets the lock free.
//   5. An owner's death is settled once, by whoever sees it: then everybody is woken.
// The single stores: acquire: the compare-exchange of 0; release: the one back to 0; death: the
// one that sets poisoned_bit (OnOwnerDeath::Release: that makes the word 0); recover: the
// compare-exchange of a poisoned word to the new owner's.
#include "sync/lock_core.hpp"

#include "sync/lock_attempt.hpp"
#include "sync/lock_report.hpp"
#include "sync/sleeper.hpp"
#include "sync/thread_table.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

struct LostLock {
  const LockCore* core;
  std::uint32_t depth;
};
constinit thread_local LostLock lost{nullptr, 0};

void release_slowly(LockCore& core, const Object& named, const CallingThread& me) {
  if (!is_owner(core, me) && forgive_release(core)) return;
  Sleeper sleeper(me, futex_of(core));
  for (;;) {
    std::uint64_t word = core.word.load(std::memory_order_acquire);
    if (word == 0 || (word & poisoned_bit) != 0) throw_not_held(word, named);
    const std::uint64_t owner = word & owner_bits;
    if (owner != me.owner && names_a_dead(word)) {
      sleeper.go_on_duty();
      if (settle_death(core, word)) sleeper.wake_all();
      continue;
    }
    if ((word & waiters_bit) != 0) sleeper.go_on_duty();
    if (!core.word.compare_exchange_strong(word, 0, std::memory_order_acq_rel)) continue;
    count_given(me, owner);
    if ((word & waiters_bit) != 0) sleeper.wake_one();
    return;
  }
}

}  // namespace

void note_lost(const LockCore& core, std::uint32_t depth) noexcept { lost = {&core, depth}; }

void note_regained(const LockCore& core) noexcept {
  if (lost.core == &core && --lost.depth == 0) lost.core = nullptr;
}

bool forgive_release(const LockCore& core) noexcept {
  if (lost.core != &core) return false;
  note_regained(core);
  return true;
}

void tell_passed_on(const LockCore& core, std::uint64_t word, const Object& named) {
  if (core.on_death == OwnerDeath::Release && (word & draining_bit) == 0) {
    log_passed_on(word, named);
  }
}

bool settle_death(LockCore& core, std::uint64_t word) noexcept {
  if (core.on_death == OwnerDeath::Raise && (word & draining_bit) == 0) {
    return core.word.compare_exchange_strong(word, (word & owner_bits) | poisoned_bit,
                                             std::memory_order_acq_rel);
  }
  if (!core.word.compare_exchange_strong(word, 0, std::memory_order_acq_rel)) return false;
  thread_slot(Owner::from(word).slot).given_back.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

void refuse_release(LockCore& core, const Object& named) {
  for (;;) {
    const std::uint64_t word = core.word.load(std::memory_order_acquire);
    if (word == 0 || (word & poisoned_bit) != 0) throw_not_held(word, named);
    if (!names_a_dead(word)) throw_not_yours(word, named);
    Sleeper sleeper(this_thread(), futex_of(core));
    sleeper.go_on_duty();
    if (!settle_death(core, word)) continue;
    sleeper.wake_all();
    tell_passed_on(core, word, named);
  }
}

void lock_acquire(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return;
  lock_attempt(core, named, me, {Patience::ForEver});
}

bool lock_acquire_until(LockCore& core, const Object& named, TimePoint deadline) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return true;
  return lock_attempt(core, named, me, {Patience::UntilDeadline, deadline}) != Outcome::TimedOut;
}

bool lock_try_acquire(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return true;
  return lock_attempt(core, named, me, {Patience::None}) != Outcome::TimedOut;
}

void lock_release(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (set_free(core, me)) [[likely]]
    return;
  release_slowly(core, named, me);
}

bool lock_recover(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  const bool recovered =
      !take_free(core, me) &&
      lock_attempt(core, named, me, {Patience::ForEver, {}, true}) == Outcome::Recovered;
  note_regained(core);
  return recovered;
}

bool lock_is_taken(const LockCore& core) noexcept {
  return core.word.load(std::memory_order_acquire) != 0;
}

bool lock_is_mine(const LockCore& core) { return is_owner(core, this_thread()); }

}  // namespace procession::detail
