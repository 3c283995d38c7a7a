// Condition: a process killed anywhere in a call leaves each notification with a living waiter,
// or not given; and the lock as its own death leaves it.
#include "procession/condition.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include "family.hpp"
#include "procession/errors.hpp"
#include "sync/slot_chunks.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

class ConditionFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    const Condition warm(OnOwnerDeath::Release);
    const std::scoped_lock hold(warm);
    EXPECT_FALSE(warm.wait(std::chrono::milliseconds(1)));
    const Lock contended;
    contended.acquire();
    EXPECT_FALSE(contended.acquire(std::chrono::milliseconds(1)));
    contended.release();
  }

  void begin() {
    bury_the_dead();
    condition_.reset();
    tidy_heap();
    before_ = Contents::look();
    places_ = places();
    condition_.emplace(Name{"news"});
  }

  void take() const {
    try {
      condition_->lock();
    } catch (const OwnerDied&) {
      condition_->recover();
    }
  }

  // 0: notified.
  int wait_for_news() const {
    take();
    int result = 0;
    try {
      condition_->wait();
    } catch (const OwnerDied&) {
      condition_->recover();  // a death is news, too
      result = 1;
    }
    condition_->unlock();
    return result;
  }

  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    take();
    condition_->notify();
    trial.expect(!condition_->wait(std::chrono::seconds(0)), "no notification is left over");
    condition_->unlock();
    condition_.reset();
    if (places() == places_) expect_same(trial, before_);
  }

  static std::size_t places() {
    std::size_t count = 0;
    for (const auto& chunk : thread_table().chunks) count += chunk.load() != nullptr ? 1 : 0;
    return count;
  }

  std::optional<Condition> condition_;
  Contents before_;
  std::size_t places_ = 0;
};

TEST_F(ConditionFaults, AWaiterIsWokenByANotifyThatIsKilled) {
  FaultPlan plan;
  plan.name = "notify, somebody waits";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] { condition_->notify(); };
  plan.waiter = [&] { return wait_for_news(); };
  plan.survivors = [&](const Trial& trial) {
    if (!trial.completed) condition_->notify();  // one too many, or the first
    trial.expect(trial.waiter() == 0, "the waiter is notified");
    end(trial);
  };
  kill_everywhere(plan);
}

// One waits already; the next one is killed on its way to the same place, at last asleep.
TEST_F(ConditionFaults, AWaiterThatIsKilledIsNotCounted) {
  FaultPlan plan;
  plan.name = "wait";
  plan.blocks = true;
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { condition_->lock(); };
  plan.operation = [&] { condition_->wait(); };
  plan.waiter = [&] {
    // The lock is the other's until it waits.
    take();
    condition_->unlock();
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "nobody notifies it");
    trial.expect(trial.waiter() == 0, "the lock is passed on");
    condition_->notify();
    end(trial);
  };
  kill_everywhere(plan, 3);
}

// It was the older one, and the notification was for it; the younger one gets it.
TEST_F(ConditionFaults, ANotificationIsPassedOnByWhoeverIsLeft) {
  FaultPlan plan;
  plan.name = "notify, the older waiter is dead";
  plan.setup = [&] {
    begin();
    // A waiter that was notified, and ended before it had the lock again.
    condition_->lock();
    run_and_end([&] {
      const CallingThread& me = this_thread();
      auto& shared = *reinterpret_cast<ConditionShared*>(condition_->handle_object());
      // As wait() and notify() leave it.
      struct Node {
        std::atomic<std::uint64_t> word;
        std::uint64_t ticket;
      };
      auto& node = SlotChunks<Node>::make(shared.chunks, Owner::from(me.owner).slot);
      node.word = me.owner >> 32 << 32;
    });
    condition_->unlock();
  };
  plan.prepare = [&] { (void)this_thread(); };
  plan.operation = [&] { condition_->notify(0); };
  plan.waiter = [&] { return wait_for_news(); };
  plan.survivors = [&](const Trial& trial) {
    condition_->notify(0);
    trial.expect(trial.waiter() == 0, "the waiter gets the dead one's notification");
    end(trial);
  };
  kill_everywhere(plan);
}

// The other one notifies it and then waits itself, for the child's notification. Where the child is
// killed decides whether there is any.
TEST_F(ConditionFaults, ANotifiedWaiterOnItsWayOut) {
  FaultPlan plan;
  plan.name = "wait, notified";
  const SharedBox<std::atomic<bool>> done;
  plan.setup = [&] {
    begin();
    *done = false;
  };
  plan.prepare = [&] { condition_->lock(); };
  plan.operation = [&] {
    condition_->wait();
    condition_->notify();
    condition_->unlock();
  };
  plan.waiter = [&] {
    take();
    condition_->notify();
    try {
      condition_->wait();
    } catch (const OwnerDied&) {
      condition_->recover();
    }
    condition_->unlock();
    *done = true;
    return 0;
  };
  plan.survivors = [&](const Trial& trial) {
    if (!trial.completed) {
      // It may not be waiting yet.
      const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (!*done && std::chrono::steady_clock::now() < limit) {
        take();
        condition_->notify();
        condition_->unlock();
        std::this_thread::yield();
      }
    }
    trial.expect(trial.waiter() == 0, "the other one is notified");
    end(trial);
  };
  kill_everywhere(plan, 7);
}

// It takes its time: killed on its way out.
TEST_F(ConditionFaults, ATimedWaitThatIsKilled) {
  FaultPlan plan;
  plan.name = "wait(0)";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] { condition_->lock(); };
  plan.operation = [&] {
    if (condition_->wait(std::chrono::seconds(0))) ::_exit(1);
    condition_->unlock();
  };
  plan.survivors = [&](const Trial& trial) { end(trial); };
  kill_everywhere(plan);
}

// Its object and the lock that it carries go with the last handle.
TEST_F(ConditionFaults, TheLastHandle) {
  FaultPlan plan;
  plan.name = "the last handle";
  plan.shared = family_words;
  plan.setup = [&] {
    begin();
    condition_.reset();
  };
  plan.prepare = [&] {
    condition_.emplace();
    const std::scoped_lock hold(*condition_);
    (void)condition_->wait(std::chrono::seconds(0));
  };
  plan.operation = [&] { condition_.reset(); };
  plan.survivors = [&](const Trial& trial) {
    condition_.emplace();
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(ConditionFaults, Making) {
  FaultPlan plan;
  plan.name = "make";
  plan.shared = family_words;
  plan.setup = [&] {
    begin();
    condition_.reset();
  };
  plan.operation = [&] { condition_.emplace(); };
  plan.survivors = [&](const Trial& trial) {
    condition_.emplace();
    end(trial);
  };
  kill_everywhere(plan);
}

}  // namespace
}  // namespace procession::faults
