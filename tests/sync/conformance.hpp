// Every type that locks, each with what it does in its own way: the rows over which one suite runs.
//
// A row says how the lock is made, what keeps others out (block), and how those others take it: by
// the calls of Handle, which are the same for all. Where these two differ, as for the readers of an
// RWLock, the row is named after who comes and who is there.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>

#include "procession/condition.hpp"
#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "procession/rlock.hpp"
#include "procession/rw_lock.hpp"
#include "procession/semaphore.hpp"

namespace procession::sync_test {

// What a thread gets that takes again what it has: one level more, or nothing; and then a blocking
// acquire says that it is a deadlock, or would wait for somebody else's release.
enum class Again { Deeper, Deadlock, Waits };

struct Facts {
  const char* type;       // what errors about an empty handle call it
  bool exclusive = true;  // of those who take it, one at a time is inside
  Again again = Again::Deadlock;
  bool others_release = false;  // a release by a thread that does not hold it counts
  bool counts = false;          // a release of what nobody holds adds to it
  bool tells_of_death = true;   // the next one gets OwnerDied; else it gets the lock
};

template <class H>
struct Plain {
  using Handle = H;
  static H make(const Name& name) { return H(name); }
  static void block(const H& handle) { handle.lock(); }
  static void unblock(const H& handle) { handle.unlock(); }
};

// The same with OnOwnerDeath::Release.
template <class Row>
struct Releasing : Row {
  static std::string name() { return Row::name() + "WithRelease"; }
  static constexpr Facts facts = [] {
    Facts changed = Row::facts;
    changed.tells_of_death = false;
    return changed;
  }();
  static typename Row::Handle make(const Name& name) {
    return Row::make(name, OnOwnerDeath::Release);
  }
};

template <class H>
struct WithDeath : Plain<H> {
  static H make(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise) {
    return H(name, on_death);
  }
};

struct OfLock : WithDeath<Lock> {
  static std::string name() { return "Lock"; }
  static constexpr Facts facts{.type = "Lock", .others_release = true};
};

struct OfRLock : WithDeath<RLock> {
  static std::string name() { return "RLock"; }
  static constexpr Facts facts{.type = "RLock", .again = Again::Deeper};
};

struct OfWriters : WithDeath<RWLock> {
  static std::string name() { return "RWLock"; }
  static constexpr Facts facts{.type = "RWLock"};
};

struct OfWritersBesideReaders : WithDeath<RWLock> {
  static std::string name() { return "RWLockHeldByAReader"; }
  static constexpr Facts facts{.type = "RWLock", .tells_of_death = false};
  static void block(const RWLock& lock) { lock.lock_shared(); }
  static void unblock(const RWLock& lock) { lock.unlock_shared(); }
};

// An RWLock by the names that all have, as its readers take it.
struct Reader {
  RWLock rw;

  void lock() const { rw.lock_shared(); }
  [[nodiscard]] bool try_lock() const { return rw.try_lock_shared(); }
  template <class Duration>
  [[nodiscard]] bool try_lock_for(const Duration& duration) const {
    return rw.try_lock_shared_for(duration);
  }
  template <class Time>
  [[nodiscard]] bool try_lock_until(const Time& time) const {
    return rw.try_lock_shared_until(time);
  }
  void unlock() const { rw.unlock_shared(); }
  bool acquire() const { return rw.acquire_shared(); }
  template <class Duration>
  [[nodiscard]] bool acquire(const Duration& duration) const {
    return rw.acquire_shared(duration);
  }
  [[nodiscard]] bool try_acquire() const { return rw.try_acquire_shared(); }
  void release() const { rw.release_shared(); }
  [[nodiscard]] bool locked() const { return rw.locked(); }
  // Who recovers is a writer; a reader comes after it.
  [[nodiscard]] bool recover() const {
    const bool recovered = rw.recover();
    rw.unlock();
    rw.lock_shared();
    return recovered;
  }
};

struct OfReaders {
  using Handle = Reader;
  static std::string name() { return "ReaderOfAnRWLock"; }
  static constexpr Facts facts{.type = "RWLock", .exclusive = false, .again = Again::Deeper};
  static Reader make(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise) {
    return Reader{RWLock(name, on_death)};
  }
  static void block(const Reader& reader) { reader.rw.lock(); }
  static void unblock(const Reader& reader) { reader.rw.unlock(); }
};

struct OfSemaphore : Plain<Semaphore> {
  static std::string name() { return "Semaphore"; }
  static constexpr Facts facts{.type = "Semaphore",
                               .again = Again::Waits,
                               .others_release = true,
                               .counts = true,
                               .tells_of_death = false};
};

struct OfBoundedSemaphore : Plain<BoundedSemaphore> {
  static std::string name() { return "BoundedSemaphore"; }
  static constexpr Facts facts{.type = "BoundedSemaphore",
                               .again = Again::Waits,
                               .others_release = true,
                               .tells_of_death = false};
};

struct OfCondition : WithDeath<Condition> {
  static std::string name() { return "Condition"; }
  static constexpr Facts facts{.type = "Condition", .again = Again::Deeper};
};

struct OfConditionWithALock : Plain<Condition> {
  static std::string name() { return "ConditionWithALock"; }
  static constexpr Facts facts{.type = "Condition", .others_release = true};
  static Condition make(const Name& name, OnOwnerDeath on_death = OnOwnerDeath::Raise) {
    return Condition(Lock(name, on_death), name);
  }
};

using Rows =
    std::tuple<OfLock, Releasing<OfLock>, OfRLock, Releasing<OfRLock>, OfWriters,
               Releasing<OfWriters>, OfWritersBesideReaders, OfReaders, Releasing<OfReaders>,
               OfSemaphore, OfBoundedSemaphore, OfCondition, Releasing<OfCondition>,
               OfConditionWithALock, Releasing<OfConditionWithALock>>;

// What a waiter got in the end, and when on the monotonic clock.
struct News {
  std::int64_t nanoseconds;
  bool holds;  // else it was told of a death: of whom, and of what
  pid_t dead;
  char process_name[32], object_name[32];
};

inline std::int64_t now_in_nanoseconds() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// Waits for the lock. Lets go of it again.
template <class Handle>
News news_of_waiting(const Handle& handle) {
  News news{};
  try {
    handle.lock();
    news.nanoseconds = now_in_nanoseconds();
    news.holds = true;
    handle.unlock();
  } catch (const OwnerDied& death) {
    news.nanoseconds = now_in_nanoseconds();
    news.dead = death.pid();
    death.process_name().copy(news.process_name, sizeof news.process_name - 1);
    death.object_name().copy(news.object_name, sizeof news.object_name - 1);
  }
  return news;
}

}  // namespace procession::sync_test
