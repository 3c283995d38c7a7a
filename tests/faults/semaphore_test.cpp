// Semaphore and BoundedSemaphore: a process killed anywhere in a call loses no permit and makes
// none, what it had tracked is given back, and whoever waits is woken.
#include "procession/semaphore.hpp"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>

#include "family.hpp"
#include "procession/errors.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

class SemaphoreFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    // What is found out once per process.
    const BoundedSemaphore warm(1);
    warm.acquire();
    EXPECT_FALSE(warm.acquire(std::chrono::milliseconds(1)));
    warm.release();
    EXPECT_FALSE(Semaphore(0).acquire(std::chrono::milliseconds(1)));
  }

  void begin(int value) {
    bury_the_dead();
    bare_.reset();
    seats_.reset();
    tidy_heap();
    before_ = Contents::look();
    places_ = places();
    bare_.emplace(value, Name{"a semaphore"});
    seats_.emplace(value, Name{"seats"});
  }

  // All permits are there, and can be taken and given back.
  void end(const Trial& trial, int bare, int seats) {
    bury_the_dead();
    expect_sound(trial);
    trial.expect(bare_->get_value() == bare, "each permit of the semaphore is there once, not " +
                                                 std::to_string(bare_->get_value()));
    trial.expect(
        seats_->get_value() == seats,
        "each permit of the bounded one is there once, not " + std::to_string(seats_->get_value()));
    for (int i = 0; i < seats; ++i) trial.expect(seats_->try_acquire(), "it can be taken");
    trial.expect(!seats_->try_acquire(), "there is no other");
    for (int i = 0; i < seats; ++i) seats_->release();
    for (int i = 0; i < bare; ++i) trial.expect(bare_->try_lock(), "it can be taken");
    trial.expect(!bare_->try_acquire() && !bare_->try_lock(), "there is no other");
    bare_->release();
    bare_->acquire();
    bare_.reset();
    seats_.reset();
    if (places() == places_) expect_same(trial, before_);
  }

  static std::size_t places() {
    std::size_t count = 0;
    for (const auto& chunk : thread_table().chunks) count += chunk.load() != nullptr ? 1 : 0;
    return count;
  }

  std::optional<Semaphore> bare_;
  std::optional<BoundedSemaphore> seats_;
  Contents before_;
  std::size_t places_ = 0;
};

// One bare permit may have gone with the dead.
TEST_F(SemaphoreFaults, TakingAndReleasingABarePermit) {
  FaultPlan plan;
  plan.name = "bare acquire and release";
  plan.setup = [&] { begin(2); };
  plan.operation = [&] {
    bare_->acquire();
    bare_->release();
  };
  plan.survivors = [&](const Trial& trial) {
    const int value = bare_->get_value();
    trial.expect(value == 2 || (value == 1 && !trial.completed), "at most its own is lost");
    end(trial, value, 2);
  };
  kill_everywhere(plan);
}

TEST_F(SemaphoreFaults, AWaiterGetsTheBarePermitOfAReleaseThatIsKilled) {
  FaultPlan plan;
  plan.name = "bare release, somebody waits";
  plan.setup = [&] { begin(0); };
  plan.operation = [&] { bare_->release(); };
  plan.waiter = [&] {
    bare_->acquire();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    // Released or not: if the waiter has not been served, one more is, and then none is left over.
    const bool served = trial.completed;
    if (served) {
      trial.expect(trial.waiter() == 0, "the waiter is served");
      return end(trial, 0, 0);
    }
    bare_->release();
    trial.expect(trial.waiter() == 0, "the waiter is served");
    const int value = bare_->get_value();
    trial.expect(value == 0 || value == 1, "no permit is made");
    end(trial, value, 0);
  };
  kill_everywhere(plan);
}

TEST_F(SemaphoreFaults, TakingAndReleasingATrackedPermit) {
  FaultPlan plan;
  plan.name = "tracked acquire and release, first of the object";
  plan.shared = family_words;
  plan.setup = [&] { begin(2); };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] {
    seats_->acquire();
    seats_->release();
  };
  plan.survivors = [&](const Trial& trial) { end(trial, 2, 2); };
  kill_everywhere(plan);
}

TEST_F(SemaphoreFaults, TakingByLockAndUnlock) {
  FaultPlan plan;
  plan.name = "lock and unlock of a Semaphore";
  plan.setup = [&] { begin(2); };
  plan.prepare = [&] {
    bare_->lock();
    bare_->unlock();
  };
  plan.operation = [&] {
    bare_->lock();
    bare_->lock();
    bare_->unlock();
    bare_->release();
  };
  plan.survivors = [&](const Trial& trial) { end(trial, 2, 2); };
  kill_everywhere(plan);
}

TEST_F(SemaphoreFaults, AWaiterGetsTheTrackedPermitOfAReleaseThatIsKilled) {
  FaultPlan plan;
  plan.name = "tracked release, somebody waits";
  plan.setup = [&] { begin(1); };
  plan.prepare = [&] { seats_->acquire(); };
  plan.operation = [&] { seats_->release(); };
  plan.waiter = [&] {
    seats_->acquire();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the waiter gets the permit, released or of the dead");
    end(trial, 1, 1);
  };
  kill_everywhere(plan);
}

// The permit is another's, who is this process.
TEST_F(SemaphoreFaults, ReleasingWhatAnotherHolds) {
  FaultPlan plan;
  plan.name = "tracked release of another's";
  plan.setup = [&] {
    begin(2);
    seats_->acquire();
  };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] { seats_->release(); };
  plan.survivors = [&](const Trial& trial) {
    if (seats_->get_value() == 1) {
      trial.expect(!trial.completed, "a whole release is seen");
      seats_->release();
    }
    bool refused = false;
    try {
      seats_->release();
    } catch (const StateError&) {
      refused = true;
    }
    trial.expect(refused, "one too many is refused");
    end(trial, 2, 2);
  };
  kill_everywhere(plan);
}

TEST_F(SemaphoreFaults, ARefusedRelease) {
  FaultPlan plan;
  plan.name = "release, one too many";
  plan.setup = [&] { begin(2); };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] {
    try {
      seats_->release();
    } catch (const StateError&) {
      return;
    }
    ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) { end(trial, 2, 2); };
  kill_everywhere(plan, 499);
}

TEST_F(SemaphoreFaults, GivingBackWhatADeadOneHeld) {
  FaultPlan plan;
  plan.name = "try_acquire, the holder is dead";
  plan.setup = [&] {
    begin(2);
    run_and_end([&] {
      seats_->acquire();
      seats_->acquire();
    });
  };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] {
    if (!seats_->try_acquire()) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) { end(trial, 2, 2); };
  kill_everywhere(plan);
}

// This process holds the permit; one waits already, and the next is killed on its way to the same
// place, at last asleep.
TEST_F(SemaphoreFaults, ATrackedWaiterIsNotForgottenWhenAnotherIsKilled) {
  FaultPlan plan;
  plan.name = "tracked acquire, none left";
  plan.blocks = true;
  plan.setup = [&] {
    begin(1);
    seats_->acquire();
  };
  plan.operation = [&] { seats_->acquire(); };
  plan.waiter = [&] {
    seats_->acquire();
    seats_->release();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "there was none");
    seats_->release();
    trial.expect(trial.waiter() == 0, "the other waiter gets the permit");
    end(trial, 1, 1);
  };
  kill_everywhere(plan, 3);
}

TEST_F(SemaphoreFaults, ABareWaiterIsNotForgottenWhenAnotherIsKilled) {
  FaultPlan plan;
  plan.name = "bare acquire, none left";
  plan.blocks = true;
  plan.setup = [&] { begin(0); };
  plan.operation = [&] { bare_->acquire(); };
  plan.waiter = [&] {
    bare_->acquire();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "there was none");
    bare_->release();
    trial.expect(trial.waiter() == 0, "the other waiter gets the permit");
    end(trial, 0, 0);
  };
  kill_everywhere(plan, 3);
}

TEST_F(SemaphoreFaults, TheLastHandleOfADeadOnesSemaphore) {
  FaultPlan plan;
  plan.name = "the last handle, with entries";
  plan.shared = family_words;
  plan.setup = [&] {
    begin(1);
    bare_.reset();
  };
  plan.prepare = [&] {
    bare_.emplace(1);
    bare_->lock();
  };
  plan.operation = [&] { bare_.reset(); };
  plan.survivors = [&](const Trial& trial) {
    bare_.emplace(1);
    end(trial, 1, 1);
  };
  kill_everywhere(plan);
}

}  // namespace
}  // namespace procession::faults
