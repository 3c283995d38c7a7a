// Waiting for permits; the rest is in permits.hpp, with the invariants.
#include "procession/semaphore.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "sync/permits.hpp"
#include "system/cpu.hpp"
#include "system/futex.hpp"

namespace procession {
namespace detail {
namespace {

constexpr TimePoint at_once = TimePoint::min();

std::string semaphore_text(const SemaphoreShared& shared) {
  return shared.head.name[0] == '\0' ? "an unnamed semaphore"
                                     : "'" + std::string(shared.head.name) + "'";
}

[[noreturn]] void throw_too_many(const SemaphoreShared& shared, int count) {
  const std::string what =
      "release(" + std::to_string(count) + ") of " + semaphore_text(shared) + " would raise it ";
  if (shared.most == PermitWord::most) {
    throw StateError(what + "above 2147483647, the most that it can count; release fewer");
  }
  throw StateError(what + "above " + std::to_string(shared.most) +
                   ", the value it started with; release each permit once (those of the dead are "
                   "given back without you)");
}

void require_positive(const SemaphoreShared& shared, int count) {
  if (count > 0) return;
  throw std::invalid_argument("release(" + std::to_string(count) + ") of " +
                              semaphore_text(shared) + "; the count must be 1 or more");
}

bool take_bare(SemaphoreShared& shared) noexcept {
  std::uint64_t word = shared.word.load(std::memory_order_relaxed);
  while (PermitWord::value(word) != 0) {
    if (shared.word.compare_exchange_weak(word, word - PermitWord::one, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

bool is_tracked(const SemaphoreShared& shared) noexcept {
  return shared.tracked.load(std::memory_order_acquire) != 0;
}

// Looks a few times more before it pays for a sleep. Never where only one CPU is allowed: who has
// a permit could not run meanwhile.
void spin(const SemaphoreShared& shared) noexcept {
  static const int rounds = usable_cpu_count() > 1 ? 6 : 0;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 4 << round; ++i) cpu_relax();
    if (PermitWord::value(shared.word.load(std::memory_order_relaxed)) != 0) return;
  }
}

// One attempt to get a permit, with all that may have to be waited for.
class PermitAttempt {
 public:
  PermitAttempt(SemaphoreShared& shared, Permit permit, TimePoint deadline)
      : shared_(shared),
        permit_(permit),
        deadline_(deadline),
        me_(this_thread()),
        sleeper_(me_, futex_of(shared)) {
    if (permit == Permit::Tracked) make_entry(shared, me_);
  }
  // Invariant 4.
  ~PermitAttempt() {
    if (!slept_) return;
    if (!taken_) shared_.word.fetch_and(~PermitWord::asleep_bit, std::memory_order_acq_rel);
    sleeper_.wake_one();
  }
  PermitAttempt(const PermitAttempt&) = delete;
  PermitAttempt& operator=(const PermitAttempt&) = delete;

  bool run() {
    if (permit_ == Permit::Bare && deadline_ != at_once) spin(shared_);
    while (const auto next = try_once()) {
      if (*next == Next::Sleep) sleep();
    }
    return taken_;
  }

 private:
  enum class Next { Again, Sleep };

  // None: the attempt is over.
  std::optional<Next> try_once() {
    if (permit_ == Permit::Bare && take_bare(shared_)) return taken();
    if (permit_ == Permit::Bare && !is_tracked(shared_)) {
      if (expired()) return std::nullopt;
      // Who has tracked a permit before the bit was set must be watched. Whoever does so
      // afterwards takes one that was released after it.
      return announce_sleep(shared_) && !is_tracked(shared_) ? Next::Sleep : Next::Again;
    }
    PermitWaker waker(shared_, me_);
    PermitBooks books(shared_, me_, waker);
    if (permit_ == Permit::Tracked && books.take()) return taken();
    holders_ = books.collect();
    if (permit_ == Permit::Tracked ? books.take() : take_bare(shared_)) return taken();
    if (expired()) return std::nullopt;
    return announce_sleep(shared_) ? Next::Sleep : Next::Again;
  }

  std::optional<Next> taken() noexcept {
    taken_ = true;
    return std::nullopt;
  }

  bool expired() noexcept {
    if (deadline_ == TimePoint::max()) return false;
    timed_out_ = timed_out_ || deadline_ == at_once || TimePoint::clock::now() >= deadline_;
    return timed_out_;
  }

  void sleep() {
    slept_ = true;
    Deadline deadline;
    if (deadline_ != TimePoint::max()) deadline = deadline_;
    const auto asleep = static_cast<std::uint32_t>(PermitWord::asleep_bit);
    if (sleeper_.sleep(asleep, holders_, {news_of_death, &shared_}, deadline) ==
        WaitResult::TimedOut) {
      timed_out_ = true;
    }
  }

  // DeathNews: they look for themselves.
  static void news_of_death(void* context, std::uint64_t) noexcept {
    static_cast<SemaphoreShared*>(context)->word.fetch_and(~PermitWord::asleep_bit,
                                                           std::memory_order_acq_rel);
  }

  SemaphoreShared& shared_;
  const Permit permit_;
  const TimePoint deadline_;
  const CallingThread& me_;
  Sleeper sleeper_;
  std::vector<Owner> holders_;
  bool slept_ = false;
  bool timed_out_ = false;
  bool taken_ = false;
};

bool attempt(SemaphoreShared& shared, Permit permit, TimePoint deadline) {
  return PermitAttempt(shared, permit, deadline).run();
}

// False: somebody is asleep, or permits have owners, or there would be too many.
bool add_at_once(SemaphoreShared& shared, std::uint32_t count) noexcept {
  if (is_tracked(shared)) return false;
  std::uint64_t word = shared.word.load(std::memory_order_relaxed);
  while ((word & PermitWord::asleep_bit) == 0 &&
         PermitWord::value(word) + std::uint64_t{count} <= shared.most) {
    if (shared.word.compare_exchange_weak(word, word + count * PermitWord::one,
                                          std::memory_order_acq_rel, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void require_room(const SemaphoreShared& shared, int count) {
  const std::uint64_t value = PermitWord::value(shared.word.load(std::memory_order_acquire));
  if (value + static_cast<std::uint64_t>(count) > shared.most) throw_too_many(shared, count);
}

}  // namespace

Object* create_semaphore(ObjectKind kind, int value, std::uint32_t most, std::string_view name) {
  if (value < 0) {
    throw std::invalid_argument("a semaphore cannot start with " + std::to_string(value) +
                                " permits; give it 0 or more");
  }
  Object* object = create_object(kind, sizeof(SemaphoreShared), name, SemaphoreShared::chunk_count);
  auto& shared = *reinterpret_cast<SemaphoreShared*>(object);
  shared.most = most;
  shared.guard.on_death = OwnerDeath::Silent;
  shared.word.store(static_cast<std::uint64_t>(value) * PermitWord::one);
  return object;
}

void semaphore_acquire(SemaphoreShared& shared, Permit permit) {
  if (permit == Permit::Bare && take_bare(shared)) [[likely]]
    return;
  (void)attempt(shared, permit, TimePoint::max());
}

bool semaphore_acquire_until(SemaphoreShared& shared, Permit permit, TimePoint deadline) {
  if (permit == Permit::Bare && take_bare(shared)) [[likely]]
    return true;
  return attempt(shared, permit, deadline);
}

bool semaphore_try_acquire(SemaphoreShared& shared, Permit permit) {
  return semaphore_acquire_until(shared, permit, at_once);
}

void semaphore_release(SemaphoreShared& shared, int count) {
  if (count > 0 && add_at_once(shared, static_cast<std::uint32_t>(count))) [[likely]]
    return;
  require_positive(shared, count);
  const CallingThread& me = this_thread();
  PermitWaker waker(shared, me);
  auto left = static_cast<std::uint32_t>(count);
  if (held_by(shared, me) != 0) {
    PermitBooks books(shared, me, waker);
    require_room(shared, count);
    left -= books.give(Owner::from(me.owner), left);
  }
  if (left != 0 && !add_bare(shared, waker, left)) throw_too_many(shared, count);
}

void semaphore_release_tracked(SemaphoreShared& shared, int count) {
  require_positive(shared, count);
  const CallingThread& me = this_thread();
  PermitWaker waker(shared, me);
  PermitBooks books(shared, me, waker);
  auto left = static_cast<std::uint32_t>(count);
  std::vector<Owner> others;
  if (held_by(shared, me) < left) others = books.collect();
  require_room(shared, count);
  left -= books.give(Owner::from(me.owner), left);
  for (const Owner& other : others) {
    if (left == 0) return;
    left -= books.give(other, left);
  }
  if (left != 0 && !add_bare(shared, waker, left)) throw_too_many(shared, count);
}

int semaphore_value(SemaphoreShared& shared) {
  if (is_tracked(shared)) {
    const CallingThread& me = this_thread();
    PermitWaker waker(shared, me);
    PermitBooks(shared, me, waker).settle_deaths();
  }
  return static_cast<int>(PermitWord::value(shared.word.load(std::memory_order_acquire)));
}

}  // namespace detail

using detail::Permit;

Semaphore::Semaphore(int value, const Name& name)
    : HandleBase(detail::create_semaphore(detail::ObjectKind::Semaphore, value,
                                          detail::PermitWord::most, name.text)) {}

Semaphore Semaphore::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return Semaphore(object);
}

bool Semaphore::acquire() const {
  detail::semaphore_acquire(shared(), Permit::Bare);
  return true;
}

bool Semaphore::try_acquire() const {
  return detail::semaphore_try_acquire(shared(), Permit::Bare);
}

bool Semaphore::acquire_until(Permit permit, detail::TimePoint deadline) const {
  return detail::semaphore_acquire_until(shared(), permit, deadline);
}

void Semaphore::release(int count) const { detail::semaphore_release(shared(), count); }

int Semaphore::get_value() const { return detail::semaphore_value(shared()); }

void Semaphore::lock() const { detail::semaphore_acquire(shared(), Permit::Tracked); }

bool Semaphore::try_lock() const {
  return detail::semaphore_try_acquire(shared(), Permit::Tracked);
}

void Semaphore::unlock() const { detail::semaphore_release_tracked(shared(), 1); }

BoundedSemaphore::BoundedSemaphore(int value, const Name& name)
    : HandleBase(detail::create_semaphore(detail::ObjectKind::BoundedSemaphore, value,
                                          static_cast<std::uint32_t>(value), name.text)) {}

BoundedSemaphore BoundedSemaphore::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return BoundedSemaphore(object);
}

bool BoundedSemaphore::acquire() const {
  detail::semaphore_acquire(shared(), Permit::Tracked);
  return true;
}

bool BoundedSemaphore::try_acquire() const {
  return detail::semaphore_try_acquire(shared(), Permit::Tracked);
}

bool BoundedSemaphore::acquire_until(detail::TimePoint deadline) const {
  return detail::semaphore_acquire_until(shared(), Permit::Tracked, deadline);
}

void BoundedSemaphore::release(int count) const {
  detail::semaphore_release_tracked(shared(), count);
}

int BoundedSemaphore::get_value() const { return detail::semaphore_value(shared()); }

}  // namespace procession
