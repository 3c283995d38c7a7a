// The word of a Barrier: the low half is a futex, asleep_bit and a count of what sleepers must
// see; above it the number of the round, and whether the barrier is broken. Each meeting is a
// round; so is what ends otherwise.
//
// Invariants:
//   1. Everything but asleep_bit changes under the guard. Who is in round r is counted in
//      `arrivals`, together with r: for another round it counts for 0.
//   2. A round ends by the one store of the word that begins the next one, takes asleep_bit away
//      and counts. Who does it is on duty (sleeper.hpp), and wakes all. So nobody falls asleep in
//      a round that is over because somebody else is asleep in the next one.
//   3. A round that ended otherwise than by a meeting is in `lost` before it ends. So who finds
//      that its round is over knows how, unless 64 rounds were lost since.
//   4. The log says that a round is about to be lost, and whether the members are forgotten with
//      it. Who takes the guard over from a dead holder finds by the word whether it was.
//   5. A process is a member before it is counted, and until a reset. Who sleeps watches all other
//      members: asleep_bit is set under the guard, and whoever adds a member does with the word
//      what ends a round (2), in the same round.
//   6. A member that is gone breaks the barrier, whoever finds it. One that has ended with status 0
//      between two rounds does so when a member waits that has been in a round with it.
// The single stores: arrival: `arrivals`; meeting, break, reset: the word.
#include "procession/barrier.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "memory/family.hpp"
#include "sync/barrier_action.hpp"
#include "sync/quiet_guard.hpp"
#include "sync/sleeper.hpp"
#include "sync/slot_chunks.hpp"
#include "sync/watched.hpp"

namespace procession {
namespace detail {
namespace {

constexpr std::uint64_t asleep_bit = std::uint64_t{1} << 31;
constexpr std::uint64_t broken_bit = std::uint64_t{1} << 63;
constexpr std::uint32_t round_mask = 0x7fff'ffff;  // and of the count of the futex

struct Member {
  std::atomic<std::uint64_t> process;  // generation of its slot << 32 | 1; 0: none
  std::atomic<std::uint64_t> thread;   // one of its threads, for when the first one has ended
  std::uint32_t first, last;           // rounds in which it has come; under the guard
};
using Members = SlotChunks<Member>;
static_assert(Members::chunk_count == BarrierShared::chunk_count);

const std::atomic<std::uint32_t>& futex_of(const BarrierShared& shared) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const void* low_half = &shared.word;
  return *static_cast<const std::atomic<std::uint32_t>*>(low_half);
}

std::string barrier_text(const BarrierShared& shared) {
  return shared.head.name[0] == '\0' ? "an unnamed barrier"
                                     : "barrier '" + std::string(shared.head.name) + "'";
}

// Wakes all at the end of its scope, if somebody must be woken. To be made before the guard.
class BarrierWaker {
 public:
  BarrierWaker(BarrierShared& shared, const CallingThread& me) noexcept
      : sleeper_(me, futex_of(shared)) {}
  ~BarrierWaker() {
    if (sleeper_.on_duty()) sleeper_.wake_all();
  }
  BarrierWaker(const BarrierWaker&) = delete;
  BarrierWaker& operator=(const BarrierWaker&) = delete;
  void prepare() noexcept { sleeper_.go_on_duty(); }

 private:
  Sleeper sleeper_;
};

// The guard of a barrier, with what a dead holder left made good.
class Books {
 public:
  Books(BarrierShared& shared, const CallingThread& me)
      : shared_(shared), me_(me), waker_(shared, me), guard_(shared.guard, shared.head) {
    finish_log();
  }

  [[nodiscard]] std::uint32_t round() const noexcept {
    return static_cast<std::uint32_t>(word() >> 32) & round_mask;
  }
  [[nodiscard]] bool broken() const noexcept { return (word() & broken_bit) != 0; }
  [[nodiscard]] std::uint32_t count() const noexcept {
    const std::uint64_t arrivals = shared_.arrivals.load(std::memory_order_acquire);
    return arrivals >> 32 == round() ? static_cast<std::uint32_t>(arrivals) : 0;
  }
  [[nodiscard]] bool was_lost(std::uint32_t round) const noexcept {
    for (const std::uint32_t lost : shared_.lost) {
      if (lost == round) return true;
    }
    return false;
  }

  // The calling process becomes a member and is counted; how many came before. REQUIRES: `mine` is
  // the process's entry.
  std::uint32_t arrive(Member& mine) noexcept {
    const std::uint64_t process = std::uint64_t{generation_of(self_index())} << 32 | 1;
    mine.thread.store(me_.owner, std::memory_order_release);
    if (mine.process.load(std::memory_order_acquire) != process) {
      mine.process.store(0, std::memory_order_release);
      mine.first = mine.last = round();
      mine.process.store(process, std::memory_order_release);
      store_word(round(), 0);
    }
    mine.last = round();
    const std::uint32_t before = count();
    shared_.arrivals.store(std::uint64_t{round()} << 32 | (before + 1), std::memory_order_release);
    return before;
  }

  void meet() noexcept { begin_next(0); }

  void break_by(BrokenBy reason, pid_t pid = 0) noexcept {
    shared_.broken_by.store(reason, std::memory_order_relaxed);
    shared_.broken_pid.store(pid, std::memory_order_relaxed);
    lose(RoundChange::Break);
  }
  void reset() noexcept { lose(RoundChange::Reset); }

  // Invariant 6. `waiting`: the entry of a process that wants to wait, or nullptr.
  void look_for_deaths(const Member* waiting = nullptr) noexcept {
    if (broken()) return;
    pid_t dead = 0;
    Members::for_each(shared_.chunks, [&](std::uint32_t slot, const Member& member) {
      const std::uint64_t process = member.process.load(std::memory_order_acquire);
      if (process == 0 || dead != 0 || is_self(slot, process)) return;
      if (!process_is_gone(slot, generation(process))) return;
      const bool has_left = member.last != round() && was_done(slot, generation(process));
      if (has_left && (waiting == nullptr || !have_met(*waiting, member))) return;
      dead = thread_slot(Owner::from(member.thread.load()).slot).pid.load();
      if (dead == 0) dead = -1;
    });
    if (dead != 0) break_by(BrokenBy::Death, dead);
  }

  // Those whom who sleeps must watch.
  [[nodiscard]] std::vector<Owner> others() {
    std::vector<Owner> watched_ones;
    Members::for_each(shared_.chunks, [&](std::uint32_t slot, const Member& member) {
      const std::uint64_t process = member.process.load(std::memory_order_acquire);
      if (process == 0 || is_self(slot, process)) return;
      const Owner whole{slot | process_owner, generation(process)};
      const Owner thread = Owner::from(member.thread.load(std::memory_order_acquire));
      if (!watched(whole).token_is_dead()) {
        watched_ones.push_back(whole);
      } else if (!watched(thread).token_is_dead()) {
        watched_ones.push_back(thread);
      }
    });
    return watched_ones;
  }

  // What the futex is while the caller may sleep.
  [[nodiscard]] std::uint32_t announce_sleep() noexcept {
    return static_cast<std::uint32_t>(shared_.word.fetch_or(asleep_bit, std::memory_order_acq_rel) |
                                      asleep_bit);
  }

 private:
  [[nodiscard]] std::uint64_t word() const noexcept {
    return shared_.word.load(std::memory_order_acquire);
  }
  static std::uint32_t generation(std::uint64_t process) noexcept {
    return static_cast<std::uint32_t>(process >> 32);
  }
  static bool is_self(std::uint32_t slot, std::uint64_t process) noexcept {
    return slot == self_index() && generation(process) == generation_of(slot);
  }
  // Whether `mine` is the calling process's and it was a member before `other` left.
  static bool have_met(const Member& mine, const Member& other) noexcept {
    const std::uint64_t process = mine.process.load(std::memory_order_acquire);
    return process != 0 && is_self(self_index(), process) &&
           ((other.last - mine.first) & round_mask) < round_mask / 2;
  }

  // Invariant 2.
  void store_word(std::uint32_t round, std::uint64_t broken) noexcept {
    const auto seen = static_cast<std::uint32_t>(word() + 1) & round_mask;
    waker_.prepare();
    shared_.word.store(std::uint64_t{round} << 32 | broken | seen, std::memory_order_release);
  }

  void begin_next(std::uint64_t broken) noexcept {
    std::uint32_t next = (round() + 1) & round_mask;
    if (next == 0) {
      next = 1;
      for (std::uint32_t& lost : shared_.lost) lost = 0;
    }
    store_word(next, broken);
  }

  // Invariants 3 and 4.
  void lose(RoundChange change) noexcept {
    shared_.log_round = round();
    shared_.log.store(change, std::memory_order_release);
    shared_.lost[shared_.losses % BarrierShared::losses_known] = round();
    begin_next(change == RoundChange::Break ? broken_bit : 0);
    finish_log();
  }

  void finish_log() noexcept {
    const RoundChange change = shared_.log.load(std::memory_order_acquire);
    if (change == RoundChange::None) return;
    std::uint32_t& lost = shared_.lost[shared_.losses % BarrierShared::losses_known];
    if (round() == shared_.log_round) {
      if (lost == shared_.log_round) lost = 0;  // it did not happen
    } else {
      if (lost == shared_.log_round) ++shared_.losses;
      if (change == RoundChange::Reset) {
        Members::for_each(shared_.chunks, [](std::uint32_t, Member& member) {
          member.process.store(0, std::memory_order_release);
        });
      }
    }
    shared_.log.store(RoundChange::None, std::memory_order_release);
  }

  BarrierShared& shared_;
  const CallingThread& me_;
  BarrierWaker waker_;
  QuietGuard guard_;
};

[[noreturn]] void throw_broken(const BarrierShared& shared, bool was_reset) {
  std::string why = "aborted";
  const std::int32_t pid = shared.broken_pid.load(std::memory_order_relaxed);
  switch (shared.broken_by.load(std::memory_order_relaxed)) {
    case BrokenBy::Timeout:
      why = "broken, as a party ran out of time";
      break;
    case BrokenBy::Death:
      why = "broken, as a process that has waited at it is gone";
      if (pid > 0) why += " (pid " + std::to_string(pid) + ")";
      break;
    case BrokenBy::Action:
      why = "broken, as its action threw an exception";
      break;
    case BrokenBy::Error:
      why = "broken, as a party could not wait";
      break;
    default:
      break;
  }
  if (was_reset) why = "reset while parties were waiting";
  throw BrokenBarrierError(barrier_text(shared) + " was " + why +
                           "; nobody meets there until reset()");
}

// One party on its way through.
class Party {
 public:
  Party(BarrierShared& shared, TimePoint deadline)
      : shared_(shared),
        me_(this_thread()),
        mine_(Members::make(shared.chunks, self_index())),
        deadline_(deadline),
        sleeper_(me_, futex_of(shared)) {}

  int wait() {
    try {
      for (;;) {
        switch (step()) {
          case Next::Done:
            return static_cast<int>(index_);
          case Next::Lost:
            throw_broken(shared_, !broken_);
          case Next::Act:
            act();
            break;
          case Next::Sleep:
            sleep();
        }
      }
    } catch (...) {  // also if it was broken: then this changes nothing
      give_up(acting_ ? BrokenBy::Action : BrokenBy::Error);
      throw;
    }
  }

 private:
  enum class Next { Done, Lost, Act, Sleep };

  Next step() {
    Books books(shared_, me_);
    if (arrived_ && books.round() != round_) return over(books);
    books.look_for_deaths(&mine_);
    broken_ = books.broken();
    if (broken_) return Next::Lost;
    if (acted_) {
      books.meet();
      return Next::Done;
    }
    if (!arrived_ && books.count() < shared_.parties) {
      round_ = books.round();
      index_ = books.arrive(mine_);
      arrived_ = true;
      if (index_ + 1 == shared_.parties) {
        if (shared_.has_action != 0) return Next::Act;
        books.meet();
        return Next::Done;
      }
    }
    if (deadline_ != TimePoint::max() && (timed_out_ || TimePoint::clock::now() >= deadline_)) {
      books.break_by(BrokenBy::Timeout);
      broken_ = true;
      return Next::Lost;
    }
    watched_ = books.others();
    futex_ = books.announce_sleep();
    return Next::Sleep;
  }

  Next over(const Books& books) {
    broken_ = books.broken();
    return books.was_lost(round_) ? Next::Lost : Next::Done;
  }

  // Nobody's guard is held meanwhile.
  void act() {
    acting_ = true;
    run_action(shared_);
    acting_ = false;
    acted_ = true;
  }

  void sleep() {
    Deadline deadline;
    if (deadline_ != TimePoint::max()) deadline = deadline_;
    timed_out_ = sleeper_.sleep(futex_, watched_, {news_of_death, &shared_}, deadline) ==
                 WaitResult::TimedOut;
  }

  void give_up(BrokenBy reason) {
    Books books(shared_, me_);
    if (arrived_ && books.round() == round_) books.break_by(reason);
  }

  // DeathNews: they look for themselves.
  static void news_of_death(void* context, std::uint64_t) noexcept {
    static_cast<BarrierShared*>(context)->word.fetch_and(~asleep_bit, std::memory_order_acq_rel);
  }

  BarrierShared& shared_;
  const CallingThread& me_;
  Member& mine_;
  const TimePoint deadline_;
  Sleeper sleeper_;
  std::vector<Owner> watched_;
  std::uint32_t round_ = 0;
  std::uint32_t index_ = 0;
  std::uint32_t futex_ = 0;  // while it may sleep
  bool arrived_ = false;
  bool acting_ = false;
  bool acted_ = false;
  bool broken_ = false;
  bool timed_out_ = false;
};

}  // namespace

Object* create_barrier(int parties, BarrierAction action, std::chrono::nanoseconds timeout,
                       std::string_view name) {
  Object* object = nullptr;
  try {
    if (parties < 1) {
      throw std::invalid_argument("a barrier for " + std::to_string(parties) +
                                  " parties cannot be; give it 1 or more");
    }
    object = create_object(ObjectKind::Barrier, sizeof(BarrierShared), name,
                           BarrierShared::chunk_count + 1);
    auto& shared = *reinterpret_cast<BarrierShared*>(object);
    shared.parties = static_cast<std::uint32_t>(parties);
    shared.timeout = timeout.count();
    shared.guard.on_death = OwnerDeath::Silent;
    shared.id = new_barrier_id();
    shared.word.store(std::uint64_t{1} << 32);
    if (action.block != nullptr) hand_over(std::exchange(action.block, nullptr), shared.action);
    if (action.local) {
      shared.has_action = 1;
      keep_local_action(shared, std::move(action.local));
    }
    return object;
  } catch (...) {
    if (action.block != nullptr) deallocate(action.block);
    if (object != nullptr) release(object);
    throw;
  }
}

TimePoint barrier_deadline(const BarrierShared& shared) {
  if (shared.timeout < 0) return TimePoint::max();
  return deadline_after(std::chrono::nanoseconds(shared.timeout));
}

int barrier_wait(BarrierShared& shared, TimePoint deadline) {
  return Party(shared, deadline).wait();
}

void barrier_reset(BarrierShared& shared) { Books(shared, this_thread()).reset(); }

void barrier_abort(BarrierShared& shared) {
  Books books(shared, this_thread());
  if (!books.broken()) books.break_by(BrokenBy::Abort);
}

int barrier_waiting(BarrierShared& shared) {
  Books books(shared, this_thread());
  books.look_for_deaths();
  return static_cast<int>(books.count());
}

bool barrier_broken(BarrierShared& shared) {
  Books books(shared, this_thread());
  books.look_for_deaths();
  return books.broken();
}

}  // namespace detail

Barrier::Barrier(int parties, detail::BarrierAction action, std::chrono::nanoseconds timeout,
                 const Name& name)
    : HandleBase(detail::create_barrier(parties, std::move(action), timeout, name.text)) {}

Barrier Barrier::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return Barrier(object);
}

int Barrier::wait_until(detail::TimePoint deadline) const {
  return detail::barrier_wait(shared(), deadline);
}

void Barrier::reset() const { detail::barrier_reset(shared()); }
void Barrier::abort() const { detail::barrier_abort(shared()); }
int Barrier::parties() const { return static_cast<int>(shared().parties); }
int Barrier::n_waiting() const { return detail::barrier_waiting(shared()); }
bool Barrier::broken() const { return detail::barrier_broken(shared()); }

}  // namespace procession
