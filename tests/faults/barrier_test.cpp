// Barrier: a process killed anywhere in a call breaks it if it had come so far as to be a party,
// and nobody waits for it; else it is as if the call had not begun.
#include "procession/barrier.hpp"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "family.hpp"
#include "procession/errors.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

constexpr int broke = 77;

class BarrierFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    const Barrier warm(2);
    EXPECT_THROW(warm.wait(std::chrono::milliseconds(1)), BrokenBarrierError);
    const Barrier with_action(1, [] {});  // the family's table of modules
    with_action.wait();
  }

  void begin(int parties, bool action = false) {
    bury_the_dead();
    barrier_.reset();
    tidy_heap();
    before_ = Contents::look();
    places_ = places();
    action ? (void)barrier_.emplace(parties, [] {}) : (void)barrier_.emplace(parties);
  }

  static int wait_at(const Barrier& barrier) {
    try {
      return barrier.wait();
    } catch (const BrokenBarrierError&) {
      return broke;
    }
  }

  // What it is when nobody has died there: whole, and empty; or it is after a reset.
  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    barrier_->reset();
    trial.expect(!barrier_->broken() && barrier_->n_waiting() == 0, "whole after a reset");
    bool told = false;
    try {
      barrier_->wait(std::chrono::seconds(0));
      told = barrier_->parties() == 1;
    } catch (const BrokenBarrierError&) {
      told = barrier_->broken();
    }
    trial.expect(told, "it goes on working");
    barrier_.reset();
    if (places() == places_) expect_same(trial, before_);
  }

  static std::size_t places() {
    std::size_t count = 0;
    for (const auto& chunk : thread_table().chunks) count += chunk.load() != nullptr ? 1 : 0;
    return count;
  }

  std::optional<Barrier> barrier_;
  Contents before_;
  std::size_t places_ = 0;
};

TEST_F(BarrierFaults, TheLastOneComes) {
  for (const bool action : {false, true}) {
    FaultPlan plan;
    plan.name = action ? "wait, the last one, with an action" : "wait, the last one";
    plan.setup = [&, action] { begin(2, action); };
    plan.operation = [&] {
      if (barrier_->wait() != 1) ::_exit(1);
    };
    plan.waiter = [&] { return wait_at(*barrier_); };
    plan.survivors = [&](const Trial& trial) {
      if (trial.completed) {
        trial.expect(trial.waiter() == 0, "they have met");
      } else {
        // It had come, and the waiter has its answer; or it had not, and the waiter waits.
        const bool broken = barrier_->broken();
        if (!broken && barrier_->n_waiting() != 0) barrier_->abort();
        const int got = trial.waiter();
        trial.expect(got == 0 || got == broke, "the waiter is told, or they have met");
      }
      end(trial);
    };
    kill_everywhere(plan);
  }
}

// At last it is killed asleep; the other waiter is told then.
TEST_F(BarrierFaults, OneOfThoseWhoWait) {
  FaultPlan plan;
  plan.name = "wait";
  plan.blocks = true;
  plan.setup = [&] { begin(3); };
  plan.operation = [&] { (void)barrier_->wait(); };
  plan.waiter = [&] { return wait_at(*barrier_); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "a third one is missing");
    if (trial.blocked) {
      trial.expect(trial.waiter() == broke, "the other is told at once");
    } else {
      if (!barrier_->broken()) {
        trial.expect(barrier_->n_waiting() == 1, "only the living are counted");
        barrier_->abort();
      }
      trial.expect(trial.waiter() == broke, "the other is told");
    }
    end(trial);
  };
  kill_everywhere(plan, 3);
}

TEST_F(BarrierFaults, Abort) {
  FaultPlan plan;
  plan.name = "abort";
  plan.setup = [&] { begin(2); };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] { barrier_->abort(); };
  plan.waiter = [&] { return wait_at(*barrier_); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(barrier_->broken() || !trial.completed, "a whole abort is seen");
    if (!barrier_->broken()) {
      trial.expect(barrier_->n_waiting() == 1, "nothing has changed");
      trial.expect(wait_at(*barrier_) == 1, "they can meet");
      trial.expect(trial.waiter() == 0, "they have met");
    } else {
      trial.expect(trial.waiter() == broke, "the waiter is told");
    }
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(BarrierFaults, Reset) {
  FaultPlan plan;
  plan.name = "reset";
  plan.setup = [&] { begin(2); };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] { barrier_->reset(); };
  plan.waiter = [&] { return wait_at(*barrier_); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!barrier_->broken(), "a reset does not leave it broken");
    if (barrier_->n_waiting() == 1) {
      trial.expect(!trial.completed, "a whole reset is seen");
      trial.expect(wait_at(*barrier_) == 1, "they can meet");
      trial.expect(trial.waiter() == 0, "they have met");
    } else {
      trial.expect(trial.waiter() == broke, "the waiter is told");
    }
    end(trial);
  };
  kill_everywhere(plan);
}

// The one that finds a death is killed over it.
TEST_F(BarrierFaults, TellingOfADeath) {
  FaultPlan plan;
  plan.name = "wait, a party is gone";
  plan.setup = [&] {
    begin(2);
    run_and_end([&] {
      try {
        (void)barrier_->wait(std::chrono::seconds(0));
      } catch (const BrokenBarrierError&) {
      }
      barrier_->reset();
      std::thread([this] { (void)wait_at(*barrier_); }).detach();
      while (barrier_->n_waiting() != 1) std::this_thread::yield();
    });
  };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] {
    if (wait_at(*barrier_) != broke) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(barrier_->broken(), "it is broken");
    end(trial);
  };
  kill_everywhere(plan, 499);
}

}  // namespace
}  // namespace procession::faults
