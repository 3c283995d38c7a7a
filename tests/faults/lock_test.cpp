// Lock and Event: a process killed anywhere in a call leaves the lock free, held by a living
// thread, or its death to be noticed; and whoever waits is woken.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/sweep.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

// Takes the lock, whatever has happened to it. True: its owner had died.
bool take(const Lock& lock) {
  try {
    lock.acquire();
    return false;
  } catch (const OwnerDied&) {
    return lock.recover();
  }
}

class LockFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    // What is found out once per process: this thread's place in the table, the number of cpus,
    // what the kernel can wait for.
    const Lock warm;
    warm.acquire();
    EXPECT_FALSE(warm.acquire(std::chrono::milliseconds(1)));
    warm.release();
  }

  void begin() {
    bury_the_dead();
    lock_.reset();
    tidy_heap();
    before_ = Contents::look();
    places_ = places();
    lock_.emplace(Name{"a lock"});
  }

  // The lock can be taken, by one at a time. `died`: whether a death has to be told.
  void expect_usable(const Trial& trial, std::optional<bool> died = std::nullopt) {
    const bool told = take(*lock_);
    if (died) trial.expect(told == *died, *died ? "its death is told" : "nobody died with it");
    trial.expect(lock_->locked(), "it is held now");
    bool refused = false;
    try {
      lock_->acquire();
    } catch (const DeadlockError&) {
      refused = true;
    }
    trial.expect(refused, "its holder is known");
    lock_->release();
    trial.expect(!lock_->locked() && lock_->try_acquire(), "it is free, and can be taken again");
    lock_->release();
  }

  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    // Thousands of threads have come and gone. Those killed between the two stores that
    // thread_table.hpp names (invariant 4) are remembered until the table has 1024 places.
    trial.expect(thread_table().chunks[5].load() == nullptr, "the table of threads does not grow");
    lock_.reset();
    if (places() == places_) expect_same(trial, before_);
  }

  // How many pieces the table of threads has. They stay as long as the family.
  static std::size_t places() {
    const auto& chunks = thread_table().chunks;
    return static_cast<std::size_t>(
        std::ranges::count_if(chunks, [](const auto& chunk) { return chunk.load() != nullptr; }));
  }

  std::optional<Lock> lock_;
  Contents before_;
  std::size_t places_ = 0;
};

// Where a thread takes its first lock; it enters the table of threads in the same call.
TEST_F(LockFaults, TakingAFreeLockForTheFirstTime) {
  FaultPlan plan;
  plan.name = "acquire, first of the thread";
  plan.shared = family_words;
  plan.setup = [&] { begin(); };
  plan.operation = [&] { lock_->acquire(); };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, trial.completed ? std::optional(true) : std::nullopt);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(LockFaults, TakingAndReleasingAFreeLock) {
  FaultPlan plan;
  plan.name = "acquire and release";
  plan.shared = family_words;
  plan.setup = [&] { begin(); };
  plan.prepare = [&] {
    lock_->acquire();
    lock_->release();
  };
  plan.operation = [&] {
    lock_->acquire();
    lock_->release();
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, trial.completed ? std::optional(false) : std::nullopt);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(LockFaults, AWaiterGetsTheLockFromAReleaseThatIsKilled) {
  FaultPlan plan;
  plan.name = "release, somebody waits";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { lock_->acquire(); };
  plan.operation = [&] { lock_->release(); };
  plan.waiter = [&] {
    take(*lock_);
    lock_->release();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the waiter gets the lock, or is told of the death");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan);
}

// This process holds the lock; one waits already, and the next is killed on its way to the same
// place, at last asleep.
TEST_F(LockFaults, AWaiterIsNotForgottenWhenAnotherIsKilled) {
  FaultPlan plan;
  plan.name = "acquire, held";
  plan.blocks = true;
  plan.setup = [&] {
    begin();
    lock_->acquire();
  };
  plan.operation = [&] { lock_->acquire(); };
  plan.waiter = [&] {
    lock_->acquire();
    lock_->release();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "the lock was held");
    lock_->release();
    trial.expect(trial.waiter() == 0, "the other waiter gets the lock");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan, 3);
}

TEST_F(LockFaults, TryingAndTimedCallsOnAHeldLock) {
  FaultPlan plan;
  plan.name = "try_acquire and acquire(0), held";
  plan.setup = [&] {
    begin();
    lock_->acquire();
  };
  plan.operation = [&] {
    if (lock_->try_acquire() || lock_->acquire(std::chrono::seconds(0))) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(lock_->locked(), "still held");
    lock_->release();
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan);
}

// The owner is a third process, and dead.
TEST_F(LockFaults, RecoveringALock) {
  FaultPlan plan;
  plan.name = "recover";
  plan.setup = [&] {
    begin();
    run_and_end([&] { lock_->acquire(); });
  };
  plan.operation = [&] {
    if (!lock_->recover()) ::_exit(1);
    lock_->release();
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, trial.completed ? std::optional(false) : std::nullopt);
    end(trial);
  };
  kill_everywhere(plan);
}

// Whoever is first told poisons the lock for all; it is killed while it does so, and the others
// must be told all the same.
TEST_F(LockFaults, TellingOfADeath) {
  FaultPlan plan;
  plan.name = "acquire, the owner is dead";
  plan.shared = family_words;
  plan.setup = [&] {
    begin();
    run_and_end([&] { lock_->acquire(); });
  };
  plan.operation = [&] {
    try {
      lock_->acquire();
    } catch (const OwnerDied&) {
      return;
    }
    ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, true);
    end(trial);
  };
  kill_everywhere(plan, 997);
}

// --- Event -----------------------------------------------------------------------------------

class EventFaults : public LockFaults {
 protected:
  void begin_event() {
    event_.reset();
    begin();
    event_.emplace();
  }
  void end_event(const Trial& trial) {
    event_->clear();
    trial.expect(!event_->is_set(), "it can be cleared");
    event_->set();
    trial.expect(event_->is_set(), "it can be set");
    event_->wait();
    event_.reset();
    end(trial);
  }
  std::optional<Event> event_;
};

TEST_F(EventFaults, AWaiterIsWokenByASetThatIsKilled) {
  FaultPlan plan;
  plan.name = "set, somebody waits";
  plan.setup = [&] { begin_event(); };
  plan.operation = [&] { event_->set(); };
  plan.waiter = [&] {
    event_->wait();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(event_->is_set() || !trial.completed, "a whole set() is seen");
    if (!event_->is_set()) event_->set();
    trial.expect(trial.waiter() == 0, "the waiter is woken");
    end_event(trial);
  };
  kill_everywhere(plan);
}

TEST_F(EventFaults, AWaiterIsNotForgottenWhenAnotherIsKilled) {
  FaultPlan plan;
  plan.name = "wait";
  plan.blocks = true;
  plan.setup = [&] { begin_event(); };
  plan.operation = [&] { event_->wait(); };
  plan.waiter = [&] {
    event_->wait();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "nobody has set it");
    event_->set();
    trial.expect(trial.waiter() == 0, "the other waiter is woken");
    end_event(trial);
  };
  kill_everywhere(plan, 3);
}

}  // namespace
}  // namespace procession::faults
