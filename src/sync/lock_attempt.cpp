// The invariants are those of lock_core.cpp.
#include "sync/lock_attempt.hpp"

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "procession/errors.hpp"
#include "sync/lock_core.hpp"
#include "sync/lock_report.hpp"
#include "sync/sleeper.hpp"
#include "sync/wait_edge.hpp"
#include "system/cpu.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

struct Result {
  Outcome outcome;
  std::uint64_t word;           // what was found: OwnerDead, SelfDeadlock
  std::uint64_t settled;        // a death that this call has settled, or 0
  std::vector<WaitEdge> cycle;  // Deadlock
};

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

class Attempt {
 public:
  Attempt(LockCore& core, const Object& named, const CallingThread& me,
          const Request& request) noexcept
      : core_(core),
        named_(named),
        me_(me),
        request_(request),
        sleeper_(me, futex_of(core)),
        edge_(me) {}
  // Its sleep could not be: no thread for a watch, no memory.
  ~Attempt() {
    if (slept_ && !left_) sleeper_.wake_all();
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  Result run() {
    for (;;) {
      std::uint64_t word = core_.word.load(std::memory_order_acquire);
      if (word == 0) {
        if (take(word, request_.bits)) return leave(Outcome::Acquired, word);
      } else if ((word & poisoned_bit) != 0) {
        if (!request_.recover) return leave(Outcome::OwnerDead, word);
        const std::uint64_t dead = word & owner_bits;
        if (take(word, 0)) {
          count_given(me_, dead);
          return leave(Outcome::Recovered, word);
        }
      } else if (const auto outcome = wait(word)) {
        return leave(*outcome, word);
      }
    }
  }

 private:
  bool take(std::uint64_t& word, std::uint64_t bits) noexcept {
    if (request_.share.take != nullptr) return request_.share.take(request_.share.context);
    if (!core_.word.compare_exchange_strong(word, me_.owner | bits, std::memory_order_seq_cst)) {
      return false;
    }
    count_taken(me_);
    return true;
  }

  // Somebody has the lock. An outcome: the end of the attempt.
  std::optional<Outcome> wait(std::uint64_t word) {
    const bool mine = (word & owner_bits) == me_.owner;
    if (mine && request_.patience == Patience::ForEver) return Outcome::SelfDeadlock;
    if (!mine && names_a_dead(word)) {
      sleeper_.go_on_duty();
      if (settle_death(core_, word)) {
        settled_ = word;
        sleeper_.wake_all();
      }
      return std::nullopt;
    }
    if (request_.patience == Patience::None || expired()) return Outcome::TimedOut;
    if (spin_.once()) return std::nullopt;
    if (request_.patience == Patience::ForEver && closes_a_cycle()) return Outcome::Deadlock;
    if ((word & waiters_bit) == 0 &&
        !core_.word.compare_exchange_strong(word, word | waiters_bit, std::memory_order_acq_rel)) {
      return std::nullopt;
    }
    sleep(word | waiters_bit, mine);
    return std::nullopt;
  }

  // Before the first sleep, and once: who comes last sees the whole of a cycle (wait_edge.hpp).
  bool closes_a_cycle() {
    if (std::exchange(looked_, true)) return false;
    sleeper_.go_off_duty();  // all are woken to whom a death was news, and we have not slept
    edge_.publish({WaitTarget::Kind::Owner, &core_}, named_);
    cycle_ = edge_.find_deadlock();
    return !cycle_.empty();
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
        settle_death(the.core_, word)) {
      tell_passed_on(the.core_, word, the.named_);
    }
  }

  // Invariant 3.
  Result leave(Outcome outcome, std::uint64_t word) noexcept {
    edge_.withdraw();
    left_ = true;
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
    return {outcome, word, settled_, std::move(cycle_)};
  }

  LockCore& core_;
  const Object& named_;
  const CallingThread& me_;
  const Request& request_;
  Sleeper sleeper_;
  PublishedEdge edge_;
  std::vector<WaitEdge> cycle_;
  Spin spin_;
  std::uint64_t settled_ = 0;
  bool looked_ = false;
  bool slept_ = false;
  bool left_ = false;
  bool timed_out_ = false;
};

}  // namespace

Outcome lock_attempt(LockCore& core, const Object& named, const CallingThread& me,
                     const Request& request) {
  Result result = Attempt(core, named, me, request).run();
  if (result.settled != 0) tell_passed_on(core, result.settled, named);
  if (result.outcome == Outcome::OwnerDead) throw_owner_died(result.word, named);
  if (result.outcome == Outcome::SelfDeadlock) throw_self_deadlock(me, named);
  if (result.outcome == Outcome::Deadlock) throw DeadlockError(std::move(result.cycle));
  return result.outcome;
}

}  // namespace procession::detail
