// Invariants of a core:
//   1. `word` is 0 while the lock is free; else it names its owner. With poisoned_bit the owner is
//      a dead one, and nobody holds the lock.
//   2. Who sleeps on the futex has found, in the same system call, the owner it knows and
//      waiters_bit. It watches that owner's life token, and is on duty (sleeper.hpp).
//   3. While anybody sleeps on the futex, waiters_bit is set, or somebody is on duty who will look
//      at the word or wake a sleeper. And one who sleeps watches the present owner, or somebody is
//      on duty as above. So whoever has slept wakes one more when it leaves, with or without the
//      lock: that one sets the bit again and watches the owner that it finds.
//   4. An owner's death is settled once, by whoever sees it: then everybody is woken.
// The single stores: acquire: the compare-exchange of 0; release: the one back to 0; death: the
// one that sets poisoned_bit (OnOwnerDeath::Release: that makes the word 0); recover: the
// compare-exchange of a poisoned word to the new owner's.
#include "sync/lock_core.hpp"

#include <optional>
#include <span>

#include "sync/lock_report.hpp"
#include "sync/sleeper.hpp"
#include "sync/thread_table.hpp"
#include "system/cpu.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

enum class Outcome { Acquired, Recovered, TimedOut, OwnerDead, SelfDeadlock };

enum class Patience { None, UntilDeadline, ForEver };

struct Request {
  Patience patience;
  TimePoint deadline{};
  bool recover = false;
};

struct Result {
  Outcome outcome;
  std::uint64_t word;         // what was found: OwnerDead, SelfDeadlock
  std::uint64_t settled = 0;  // a death that this call has settled, or 0
};

void count_taken(const CallingThread& me) noexcept {
  auto& held = me.slot->held;
  held.store(held.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// The lock does not name `owner` any more.
void count_given(const CallingThread& me, std::uint64_t owner) noexcept {
  if (owner == me.owner) {
    auto& held = me.slot->held;
    held.store(held.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  } else {
    thread_slot(Owner::from(owner).slot).given_back.fetch_add(1, std::memory_order_acq_rel);
  }
}

bool is_dead(std::uint64_t word) noexcept {
  const Owner owner = Owner::from(word);
  return owner_is_dead(thread_slot(owner.slot), owner.generation);
}

// Looks at the word a few times more before it pays for a sleep. Never where only one CPU is
// allowed: the owner could not run meanwhile.
class Spin {
 public:
  bool once() noexcept {
    static const int most = usable_cpu_count() > 1 ? 6 : 0;
    if (rounds_ == most) return false;
    for (int i = 0; i < 4 << rounds_; ++i) cpu_relax();
    ++rounds_;
    return true;
  }

 private:
  int rounds_ = 0;
};

// One attempt to get the lock, with all that may have to be waited for.
class Attempt {
 public:
  Attempt(LockCore& core, const Object& named, const CallingThread& me,
          const Request& request) noexcept
      : core_(core), named_(named), me_(me), request_(request), sleeper_(me, futex_of(core)) {}

  Result run() {
    for (;;) {
      std::uint64_t word = core_.word.load(std::memory_order_acquire);
      if (word == 0) {
        if (take(word)) return leave(Outcome::Acquired, word);
      } else if ((word & poisoned_bit) != 0) {
        if (!request_.recover) return leave(Outcome::OwnerDead, word);
        const std::uint64_t dead = word & owner_bits;
        if (take(word)) {
          count_given(me_, dead);
          return leave(Outcome::Recovered, word);
        }
      } else if (const auto outcome = wait(word)) {
        return leave(*outcome, word);
      }
    }
  }

 private:
  bool take(std::uint64_t& word) noexcept {
    if (!core_.word.compare_exchange_strong(word, me_.owner, std::memory_order_acq_rel)) {
      return false;
    }
    count_taken(me_);
    return true;
  }

  // Somebody has the lock. An outcome: the end of the attempt.
  std::optional<Outcome> wait(std::uint64_t word) {
    const bool mine = (word & owner_bits) == me_.owner;
    if (mine && request_.patience == Patience::ForEver) return Outcome::SelfDeadlock;
    if (!mine && is_dead(word)) {
      sleeper_.go_on_duty();
      if (settle_death(core_, word)) {
        settled_ = word;
        sleeper_.wake_all();
      }
      return std::nullopt;
    }
    if (request_.patience == Patience::None || expired()) return Outcome::TimedOut;
    if (spin_.once()) return std::nullopt;
    if ((word & waiters_bit) == 0 &&
        !core_.word.compare_exchange_strong(word, word | waiters_bit, std::memory_order_acq_rel)) {
      return std::nullopt;
    }
    sleep(word | waiters_bit, mine);
    return std::nullopt;
  }

  bool expired() noexcept {
    if (request_.patience == Patience::ForEver) return false;
    timed_out_ = timed_out_ || TimePoint::clock::now() >= request_.deadline;
    return timed_out_;
  }

  void sleep(std::uint64_t word, bool mine) {
    slept_ = true;
    Deadline deadline;
    if (request_.patience == Patience::UntilDeadline && request_.deadline != TimePoint::max()) {
      deadline = request_.deadline;
    }
    const Owner owner = Owner::from(word);
    const std::span<const Owner> watched(&owner, mine ? 0 : 1);
    if (sleeper_.sleep(static_cast<std::uint32_t>(word), watched, {settle, this}, deadline) ==
        WaitResult::TimedOut) {
      timed_out_ = true;
    }
  }

  // DeathNews, in another thread of this process.
  static void settle(void* context, std::uint64_t owner) noexcept {
    auto& the = *static_cast<Attempt*>(context);
    const std::uint64_t word = the.core_.word.load(std::memory_order_acquire);
    if ((word & owner_bits) == owner && (word & poisoned_bit) == 0 &&
        settle_death(the.core_, word) && the.core_.on_death == OwnerDeath::Release) {
      log_passed_on(word, the.named_);
    }
  }

  // Invariant 3.
  Result leave(Outcome outcome, std::uint64_t word) noexcept {
    if (slept_) {
      if (outcome == Outcome::TimedOut) {
        core_.word.fetch_and(~waiters_bit, std::memory_order_acq_rel);
      }
      if (outcome == Outcome::OwnerDead) {
        sleeper_.wake_all();
      } else {
        sleeper_.wake_one();
      }
    }
    return {outcome, word, settled_};
  }

  LockCore& core_;
  const Object& named_;
  const CallingThread& me_;
  const Request& request_;
  Sleeper sleeper_;
  Spin spin_;
  std::uint64_t settled_ = 0;
  bool slept_ = false;
  bool timed_out_ = false;
};

// The whole of a call; the word is known not to be free, or was not a moment ago.
Outcome attempt(LockCore& core, const Object& named, const CallingThread& me,
                const Request& request) {
  const Result result = Attempt(core, named, me, request).run();
  if (result.settled != 0 && core.on_death == OwnerDeath::Release) {
    log_passed_on(result.settled, named);
  }
  if (result.outcome == Outcome::OwnerDead) throw_owner_died(result.word, named);
  if (result.outcome == Outcome::SelfDeadlock) throw_self_deadlock(me, named);
  return result.outcome;
}

bool take_free(LockCore& core, const CallingThread& me) noexcept {
  std::uint64_t free = 0;
  if (!core.word.compare_exchange_strong(free, me.owner, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
    return false;
  }
  count_taken(me);
  return true;
}

void release_slowly(LockCore& core, const Object& named, const CallingThread& me) {
  Sleeper sleeper(me, futex_of(core));
  for (;;) {
    std::uint64_t word = core.word.load(std::memory_order_acquire);
    if (word == 0 || (word & poisoned_bit) != 0) throw_not_held(word, named);
    const std::uint64_t owner = word & owner_bits;
    if (owner != me.owner && is_dead(word)) {
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

bool settle_death(LockCore& core, std::uint64_t word) noexcept {
  if (core.on_death == OwnerDeath::Raise) {
    return core.word.compare_exchange_strong(word, (word & owner_bits) | poisoned_bit,
                                             std::memory_order_acq_rel);
  }
  if (!core.word.compare_exchange_strong(word, 0, std::memory_order_acq_rel)) return false;
  thread_slot(Owner::from(word).slot).given_back.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

std::uint64_t settle_if_dead(LockCore& core, const Object& named) {
  for (;;) {
    const std::uint64_t word = core.word.load(std::memory_order_acquire);
    if (word == 0 || (word & poisoned_bit) != 0 || !is_dead(word)) return word;
    Sleeper sleeper(this_thread(), futex_of(core));
    sleeper.go_on_duty();
    if (!settle_death(core, word)) continue;
    sleeper.wake_all();
    if (core.on_death == OwnerDeath::Release) log_passed_on(word, named);
  }
}

void lock_acquire(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return;
  attempt(core, named, me, {Patience::ForEver});
}

bool lock_acquire_until(LockCore& core, const Object& named, TimePoint deadline) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return true;
  return attempt(core, named, me, {Patience::UntilDeadline, deadline}) != Outcome::TimedOut;
}

bool lock_try_acquire(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) [[likely]]
    return true;
  return attempt(core, named, me, {Patience::None}) != Outcome::TimedOut;
}

void lock_release(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  std::uint64_t mine = me.owner;
  if (core.word.compare_exchange_strong(mine, 0, std::memory_order_release,
                                        std::memory_order_relaxed)) [[likely]] {
    count_given(me, me.owner);
    return;
  }
  release_slowly(core, named, me);
}

bool lock_recover(LockCore& core, const Object& named) {
  const CallingThread& me = this_thread();
  if (take_free(core, me)) return false;
  return attempt(core, named, me, {Patience::ForEver, {}, true}) == Outcome::Recovered;
}

bool lock_is_taken(const LockCore& core) noexcept {
  return core.word.load(std::memory_order_acquire) != 0;
}

bool lock_is_mine(const LockCore& core) {
  const std::uint64_t word = core.word.load(std::memory_order_relaxed);
  return (word & poisoned_bit) == 0 && (word & owner_bits) == this_thread().owner;
}

}  // namespace procession::detail
