// RLock, and the verdict on a deadlock: a process killed anywhere in a call leaves the lock free,
// held by a living thread, or its death to be noticed; whoever waits is woken; and a victim that is
// killed as it gives up leaves nothing that keeps others from judging.
#include "procession/rlock.hpp"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <optional>

#include "family.hpp"
#include "memory/sweep.hpp"
#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "sync/quiet_guard.hpp"
#include "sync/thread_table.hpp"
#include "sync/wait_edge.hpp"

namespace procession::faults {
namespace {

using namespace detail;

// Takes the lock, whatever has happened to it. True: its owner had died.
template <class AnyLock>
bool take(const AnyLock& lock) {
  try {
    lock.acquire();
    return false;
  } catch (const OwnerDied&) {
    return lock.recover();
  }
}

class RLockFaults : public FamilyFaults {
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
    other_.reset();
    tidy_heap();
    before_ = Contents::look();
    pieces_ = thread_table_pieces();
    lock_.emplace(Name{"a lock"});
    other_.emplace(Name{"another"});
  }

  // The lock can be taken, more than once, by one at a time. `died`: whether a death is told.
  void expect_usable(const Trial& trial, std::optional<bool> died = std::nullopt) {
    const bool told = take(*lock_);
    if (died) trial.expect(told == *died, *died ? "its death is told" : "nobody died with it");
    trial.expect(lock_->try_acquire(), "its holder may take it again");
    lock_->release();
    trial.expect(lock_->locked(), "and then holds it still");
    lock_->release();
    trial.expect(!lock_->locked() && lock_->try_acquire(), "it is free, and can be taken again");
    lock_->release();
    trial.expect(!lock_->locked(), "as deep as it was taken, and no deeper");
  }

  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    trial.expect(thread_table().chunks[5].load() == nullptr, "the table of threads does not grow");
    lock_.reset();
    other_.reset();
    if (thread_table_pieces() == pieces_) expect_same(trial, before_);
  }

  LockShared& inside(const RLock& lock) {
    return *reinterpret_cast<LockShared*>(lock.handle_object());
  }

  std::optional<RLock> lock_, other_;
  Contents before_;
  std::size_t pieces_ = 0;
};

TEST_F(RLockFaults, TakingItTwiceAndReleasingItTwice) {
  FaultPlan plan;
  plan.name = "acquire twice, release twice";
  plan.shared = family_words;
  plan.setup = [&] { begin(); };
  plan.prepare = [&] {
    lock_->acquire();
    lock_->release();
  };
  plan.operation = [&] {
    lock_->acquire();
    lock_->acquire();
    lock_->release();
    lock_->release();
  };
  plan.survivors = [&](const Trial& trial) {
    expect_usable(trial, trial.completed ? std::optional(false) : std::nullopt);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(RLockFaults, AWaiterGetsItFromReleasesThatAreKilled) {
  FaultPlan plan;
  plan.name = "release twice, somebody waits";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] {
    lock_->acquire();
    lock_->acquire();
  };
  plan.operation = [&] {
    lock_->release();
    lock_->release();
  };
  plan.waiter = [&] {
    take(*lock_);
    lock_->release();
    return lock_->locked() ? 1 : 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the waiter gets the lock, or is told of the death");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(RLockFaults, SettingItFreeForAConditionAndTakingItAgain) {
  for (const bool with_waiter : {false, true}) {
    FaultPlan plan;
    plan.name = with_waiter ? "release_all, somebody waits" : "release_all and acquire_with";
    plan.setup = [&] { begin(); };
    plan.prepare = [&] {
      for (int i = 0; i < 3; ++i) lock_->acquire();
    };
    plan.operation = [&, with_waiter] {
      auto& [head, core] = inside(*lock_);
      const std::uint32_t depth = rlock_release_all(core, head);
      if (depth != 3) ::_exit(1);
      if (with_waiter) return;
      rlock_acquire_with(core, head, depth);
    };
    if (with_waiter) {
      plan.waiter = [&] {
        take(*lock_);
        lock_->release();
        return lock_->locked() ? 1 : 0;
      };
    }
    plan.survivors = [&, with_waiter](const Trial& trial) {
      if (with_waiter) trial.expect(trial.waiter() == 0, "the waiter gets the lock");
      expect_usable(trial, with_waiter ? std::optional(false)
                                       : (trial.completed ? std::optional(true) : std::nullopt));
      end(trial);
    };
    kill_everywhere(plan);
  }
}

TEST_F(RLockFaults, AWaiterIsNotForgottenWhenAnotherIsKilled) {
  FaultPlan plan;
  plan.name = "acquire, held";
  plan.blocks = true;
  plan.setup = [&] {
    begin();
    lock_->acquire();
  };
  plan.prepare = [] { (void)this_thread(); };
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

TEST_F(RLockFaults, TryingAndTimedCallsOnAHeldLock) {
  FaultPlan plan;
  plan.name = "try_acquire and acquire(0), held";
  plan.setup = [&] {
    begin();
    lock_->acquire();
  };
  plan.prepare = [] { (void)this_thread(); };
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

TEST_F(RLockFaults, Recovering) {
  FaultPlan plan;
  plan.name = "recover";
  plan.setup = [&] {
    begin();
    run_and_end([&] {
      lock_->acquire();
      lock_->acquire();
    });
  };
  plan.prepare = [] { (void)this_thread(); };
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

// --- the verdict -----------------------------------------------------------------------------

// The child holds the one lock and asks for the other, whose holder waits for the first. All of
// the verdict, without the throw.
TEST_F(RLockFaults, JudgingADeadlock) {
  FaultPlan plan;
  plan.name = "publish, find_deadlock, withdraw";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { lock_->acquire(); };
  plan.waiter = [&] {
    other_->acquire();
    take(*lock_);
    lock_->release();
    other_->release();
    return 0;
  };
  plan.operation = [&] {
    auto& [head, core] = inside(*other_);
    PublishedEdge edge(this_thread());
    edge.publish({WaitTarget::Kind::Owner, &core}, head);
    if (edge.find_deadlock().size() != 2) ::_exit(1);
    lock_->release();
  };
  plan.survivors = [&](const Trial& trial) {
    static const Object judge{};
    { const QuietGuard guard(thread_table().verdict, judge); }
    trial.expect(trial.waiter() == 0, "the other party gets the lock, or is told of the death");
    trial.expect(!other_->locked(), "the other lock is free");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan, 4);
}

// The whole call, with the error that the victim gets.
TEST_F(RLockFaults, BeingTheVictimOfADeadlock) {
  FaultPlan plan;
  plan.name = "acquire, a deadlock";
  plan.shared = family_words;
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { lock_->acquire(); };
  plan.waiter = [&] {
    other_->acquire();
    take(*lock_);
    lock_->release();
    other_->release();
    return 0;
  };
  plan.operation = [&] {
    try {
      other_->acquire();
    } catch (const DeadlockError&) {
      lock_->release();
      return;
    }
    ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the other party gets the lock, or is told of the death");
    expect_usable(trial, false);
    end(trial);
  };
  kill_everywhere(plan, 499);
}

}  // namespace
}  // namespace procession::faults
