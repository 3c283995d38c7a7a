// RWLock: a process killed anywhere in a call leaves the lock free, held by the living, or a
// writer's death to be noticed; a reader's shares are given back; whoever waits is woken.
#include "procession/rw_lock.hpp"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include "family.hpp"
#include "memory/sweep.hpp"
#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

// Takes the lock as the writer, whatever has happened to it. True: a writer had died.
bool take(const RWLock& lock) {
  try {
    lock.lock();
    return false;
  } catch (const OwnerDied&) {
    return lock.recover();
  }
}

void write_once(const RWLock& lock) {
  take(lock);
  lock.unlock();
}

void read_once(const RWLock& lock) {
  try {
    lock.lock_shared();
    lock.unlock_shared();
  } catch (const OwnerDied&) {
    write_once(lock);
  }
}

class RWLockFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    const Lock warm;  // finds out what is found out once per process
    warm.acquire();
    EXPECT_FALSE(warm.acquire(std::chrono::milliseconds(1)));
    warm.release();
  }

  void begin() {
    bury_the_dead();
    lock_.reset();
    tidy_heap();
    before_ = Contents::look();
    pieces_ = thread_table_pieces();
    lock_.emplace(Name{"a lock"});
  }
  // With the entries of the readers in place.
  void begin_used() {
    begin();
    read_once(*lock_);
  }

  // `died`: whether the death of a writer has to be told.
  void expect_usable(const Trial& trial, std::optional<bool> died = std::nullopt) {
    const bool told = take(*lock_);
    if (died) trial.expect(told == *died, *died ? "its death is told" : "no writer died with it");
    bool refused = false;
    try {
      lock_->lock_shared();
    } catch (const DeadlockError&) {
      refused = true;
    }
    trial.expect(refused, "the writer is known");
    lock_->unlock();
    trial.expect(!lock_->locked() && lock_->try_lock_shared(), "it is free, and can be shared");
    trial.expect(!lock_->try_lock(), "a reader keeps writers out");
    lock_->unlock_shared();
    trial.expect(!lock_->locked() && lock_->try_lock(), "it is free again");
    lock_->unlock();
  }

  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    trial.expect(thread_table().chunks[5].load() == nullptr, "the table of threads does not grow");
    lock_.reset();
    if (thread_table_pieces() == pieces_) expect_same(trial, before_);
  }

  // An operation on a lock that nobody holds, which leaves it so.
  void kill_free(const char* name, const std::function<void()>& operation) {
    FaultPlan plan;
    plan.name = name;
    plan.shared = family_words;
    plan.setup = [&] { begin_used(); };
    plan.prepare = operation;
    plan.operation = operation;
    plan.survivors = [&](const Trial& trial) {
      expect_usable(trial, trial.completed ? std::optional(false) : std::nullopt);
      end(trial);
    };
    kill_everywhere(plan);
  }

  // Gives back what `prepare` has taken while somebody waits.
  void kill_handing_on(const char* name, const std::function<void()>& prepare,
                       const std::function<void()>& operation,
                       const std::function<void()>& waiter) {
    FaultPlan plan;
    plan.name = name;
    plan.setup = [&] { begin_used(); };
    plan.prepare = prepare;
    plan.operation = operation;
    plan.waiter = [&] {
      waiter();
      return 0;
    };
    plan.survivors = [&](const Trial& trial) {
      trial.expect(trial.waiter() == 0, "the waiter gets the lock, or is told of the death");
      expect_usable(trial, false);
      end(trial);
    };
    kill_everywhere(plan);
  }

  // This process holds what `hold` takes; the operation waits, and is killed on its way and
  // asleep. Then `let_go`, and another waiter, if there is one, must get the lock.
  void kill_waiting(const char* name, const std::function<void()>& hold,
                    const std::function<void()>& operation, const std::function<void()>& let_go,
                    const std::function<void()>& waiter = {}) {
    FaultPlan plan;
    plan.name = name;
    plan.blocks = true;
    plan.setup = [&] {
      begin_used();
      hold();
    };
    plan.prepare = [] { (void)this_thread(); };
    plan.operation = operation;
    if (waiter) {
      plan.waiter = [&] {
        waiter();
        return 0;
      };
    }
    plan.survivors = [&](const Trial& trial) {
      trial.expect(!trial.completed, "the lock was held");
      let_go();
      if (waiter) trial.expect(trial.waiter() == 0, "the other waiter gets the lock");
      expect_usable(trial, false);
      end(trial);
    };
    kill_everywhere(plan, waiter ? 3 : 1);
  }

  std::optional<RWLock> lock_;
  Contents before_;
  std::size_t pieces_ = 0;
};

// The entries of the readers are made in the same call, or there from other readers; the mark of
// this one is set.
TEST_F(RWLockFaults, TheFirstShareOfALock) {
  for (const bool used : {false, true}) {
    FaultPlan plan;
    plan.name = used ? "lock_shared, the first of this thread" : "lock_shared, the first";
    plan.shared = family_words;
    plan.setup = [&, used] { used ? begin_used() : begin(); };
    plan.prepare = [] { read_once(RWLock()); };
    plan.operation = [&] { lock_->lock_shared(); };
    plan.survivors = [&](const Trial& trial) {
      trial.expect(!lock_->locked(), "the dead have no shares");
      expect_usable(trial, false);
      end(trial);
    };
    kill_everywhere(plan);
  }
}

// What belongs to a lock goes with its last handle, wherever the one who drops it is killed.
TEST_F(RWLockFaults, MakingUsingAndDroppingALock) {
  FaultPlan plan;
  plan.name = "make, lock_shared, unlock_shared, drop";
  plan.shared = family_words;
  plan.setup = [&] { begin(); };
  plan.prepare = [] { read_once(RWLock()); };
  plan.operation = [] {
    const RWLock lock;
    lock.lock_shared();
    lock.unlock_shared();
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(RWLockFaults, Free) {
  kill_free("lock_shared and unlock_shared", [&] {
    lock_->lock_shared();
    lock_->unlock_shared();
  });
  kill_free("lock_shared twice, unlock_shared twice", [&] {
    lock_->lock_shared();
    lock_->lock_shared();
    lock_->unlock_shared();
    lock_->unlock_shared();
  });
  kill_free("lock and unlock", [&] {
    lock_->lock();
    lock_->unlock();
  });
  kill_free("try_lock, unlock, try_lock_shared, unlock_shared", [&] {
    if (!lock_->try_lock()) ::_exit(1);
    lock_->unlock();
    if (!lock_->try_lock_shared()) ::_exit(1);
    lock_->unlock_shared();
  });
}

TEST_F(RWLockFaults, AWaiterGetsTheLockFromOneThatIsKilled) {
  const auto lock = [&] { lock_->lock(); };
  const auto unlock = [&] { lock_->unlock(); };
  const auto share = [&] { lock_->lock_shared(); };
  const auto unshare = [&] { lock_->unlock_shared(); };
  const auto write = [&] { write_once(*lock_); };
  const auto read = [&] { read_once(*lock_); };
  kill_handing_on("unlock, a writer waits", lock, unlock, write);
  kill_handing_on("unlock, a reader waits", lock, unlock, read);
  kill_handing_on("unlock_shared, a writer waits", share, unshare, write);
}

TEST_F(RWLockFaults, AWriterKilledAsItWaitsForReadersLetsNewOnesIn) {
  kill_waiting(
      "lock, shared", [&] { lock_->lock_shared(); }, [&] { lock_->lock(); },
      [&] {
        run_and_end([&] {
          if (!lock_->try_lock_shared()) ::_exit(1);
        });
        lock_->unlock_shared();
      });
}

TEST_F(RWLockFaults, AWaiterIsNotForgottenWhenAnotherIsKilled) {
  const auto write = [&] { write_once(*lock_); };
  const auto read = [&] { read_once(*lock_); };
  const auto lock = [&] { lock_->lock(); };
  const auto unlock = [&] { lock_->unlock(); };
  const auto share = [&] { lock_->lock_shared(); };
  const auto unshare = [&] { lock_->unlock_shared(); };
  kill_waiting("lock, held, a reader waits", lock, lock, unlock, read);
  kill_waiting("lock_shared, held, a writer waits", lock, share, unlock, write);
  kill_waiting("lock_shared, shared, a writer waits", share, share, unshare, write);
  kill_waiting("lock, shared, a writer waits", share, lock, unshare, write);
}

TEST_F(RWLockFaults, CallsThatGiveUp) {
  for (const bool shared : {false, true}) {
    FaultPlan plan;
    plan.name = shared ? "try_lock and try_lock_for(0), shared" : "all that try, held";
    plan.setup = [&, shared] {
      begin_used();
      shared ? lock_->lock_shared() : lock_->lock();
    };
    plan.prepare = [] { (void)this_thread(); };
    plan.operation = [&, shared] {
      using namespace std::chrono_literals;
      if (lock_->try_lock() || lock_->try_lock_for(0s)) ::_exit(1);
      if (!shared && (lock_->try_lock_shared() || lock_->try_lock_shared_for(0s))) ::_exit(1);
    };
    plan.survivors = [&, shared](const Trial& trial) {
      trial.expect(lock_->locked(), "still held");
      shared ? lock_->unlock_shared() : lock_->unlock();
      expect_usable(trial, false);
      end(trial);
    };
    kill_everywhere(plan);
  }
}

TEST_F(RWLockFaults, Recovering) {
  FaultPlan plan;
  plan.name = "recover";
  plan.setup = [&] {
    begin_used();
    run_and_end([&] { lock_->lock(); });
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    if (!lock_->recover()) ::_exit(1);
    lock_->unlock();
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, trial.completed ? std::optional(false) : std::nullopt);
    end(trial);
  };
  kill_everywhere(plan);
}

// Poisoned already by somebody who was told: recover() alone decides, and is killed.
TEST_F(RWLockFaults, RecoveringAPoisonedLockLosesNoDeath) {
  FaultPlan plan;
  plan.name = "recover, poisoned";
  plan.setup = [&] {
    begin_used();
    run_and_end([&] { lock_->lock(); });
    EXPECT_THROW((void)lock_->try_lock_shared(), OwnerDied);
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    if (!lock_->recover()) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, true);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(RWLockFaults, TellingAReaderOfAWritersDeath) {
  FaultPlan plan;
  plan.name = "lock_shared, the writer is dead";
  plan.shared = family_words;
  plan.setup = [&] {
    begin_used();
    run_and_end([&] { lock_->lock(); });
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    try {
      lock_->lock_shared();
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

// Readers and a lock: the writer is last, finds the cycle, and gives the word back.
TEST_F(RWLockFaults, AWriterThatIsTheVictimOfADeadlock) {
  std::optional<Lock> lock;
  FaultPlan plan;
  plan.name = "lock, a deadlock";
  plan.shared = family_words;
  plan.setup = [&] {
    lock.reset();
    begin_used();
    lock.emplace();
  };
  plan.prepare = [&] { lock->acquire(); };
  plan.waiter = [&] {
    lock_->lock_shared();
    try {
      lock->acquire();
    } catch (const OwnerDied&) {
      lock->recover();
    }
    lock->release();
    lock_->unlock_shared();
    return 0;
  };
  plan.operation = [&] {
    try {
      lock_->lock();
    } catch (const DeadlockError&) {
      lock->release();
      return;
    }
    ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the other party goes on");
    lock.reset();
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan, 499);
}

// The word is taken, and given back when the thread's own share is found.
TEST_F(RWLockFaults, AWriterThatHasAShare) {
  FaultPlan plan;
  plan.name = "lock, its own share";
  plan.shared = family_words;
  plan.setup = [&] { begin_used(); };
  plan.prepare = [&] { lock_->lock_shared(); };
  plan.operation = [&] {
    try {
      lock_->lock();
    } catch (const DeadlockError&) {
      return;
    }
    ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!lock_->locked(), "neither its share nor its wait is left");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan, 499);
}

}  // namespace
}  // namespace procession::faults
