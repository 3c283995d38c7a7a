// The pool's own process, killed in a call: its workers end with it (its death is theirs, by the
// kernel), and a survivor reclaims all that it had: calls, results of its workers, the pool itself.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "pool_tasks.hpp"
#include "pool_under_test.hpp"
#include "support/child.hpp"

namespace procession::faults {
namespace {

using namespace detail;

using Strings = AsyncResult<std::vector<std::string>>;

const std::vector<int> three{0, 1, 2};

// Overwrites what is free: whoever still reads what was freed is found out.
void scribble() {
  std::vector<void*> blocks;
  for (int i = 0; i < 40; ++i) {
    blocks.push_back(allocate(60 << 10));
    std::memset(blocks.back(), 0xff, 60 << 10);
  }
  for (void* block : blocks) free_block(block);
}

class PoolOwnerFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    BarePool warm;  // what a process makes once
  }

  void tidy() {
    bury_the_dead();
    return_kept_blocks();
    tidy_heap();
  }

  // The child has a pool, does `prepare` and is killed in `operation`.
  void owner_case(const char* name, std::size_t stride, const std::function<void()>& prepare,
                  const std::function<void()>& operation) {
    FaultPlan plan;
    plan.name = name;
    plan.shared = family_words;
    plan.setup = [&] {
      tidy();
      before_ = Contents::look();
    };
    plan.prepare = [&] {
      pool_.emplace();
      prepare();
    };
    plan.operation = operation;
    plan.survivors = [&](const Trial& trial) {
      scribble();
      bury_the_dead();
      expect_sound(trial);
      expect_same(trial, before_);
      use_blocks(trial, 300);
    };
    kill_everywhere(plan, stride);
  }

  // In the child only.
  std::optional<BarePool> pool_;
  std::optional<Strings> strings_;
  std::vector<AsyncResult<Wide>> wides_;
  Contents before_;
};

TEST_F(PoolOwnerFaults, Submitting) {
  owner_case(
      "submit", 1, [&] { wides_.reserve(2); },
      [&] { wides_.push_back(pool_->view().apply_async(run_flat, 0)); });
}

// What becomes of its items is in a block of its own.
TEST_F(PoolOwnerFaults, SubmittingAMap) {
  const std::vector<int> items(80, 1);
  owner_case(
      "submit, map", 11, [&] { strings_.reset(); },
      [&] { strings_.emplace(pool_->view().map_async(run_boxed, items)); });
}

// All of it is in large blocks. Copying the items takes tens of thousands of steps, none of which
// anybody can see.
TEST_F(PoolOwnerFaults, SubmittingALargeMap) {
  const std::vector<Wide> items(600);
  owner_case(
      "submit, large map", 1'000'000, [] {},
      [&] { (void)new auto(pool_->view().map_async([](Wide wide) { return wide; }, items)); });
}

TEST_F(PoolOwnerFaults, SubmittingWhenTheRingMustGrow) {
  const auto fill = [&] {
    wides_.reserve(300);
    for (int i = 0; i < 256; ++i) wides_.push_back(pool_->view().apply_async(run_flat, 0));
  };
  owner_case("submit, the ring grows", 101, fill,
             [&] { wides_.push_back(pool_->view().apply_async(run_flat, 0)); });
}

TEST_F(PoolOwnerFaults, LettingResultsGo) {
  const auto have_results = [&] {
    strings_.emplace(pool_->view().map_async(run_boxed, three, 1));
    pool_->core().close();
    run_and_end([&] { work(pool_->shared(), 0); });
    sweep_dead_processes();  // the results are in slabs that nobody owns
  };
  owner_case("drop results", 7, have_results, [&] { strings_.reset(); });
}

TEST_F(PoolOwnerFaults, EndingThePool) {
  const auto use = [&] {
    strings_.emplace(pool_->view().map_async(run_boxed, three, 1));
    pool_->core().close();
    work(pool_->shared(), 0);
    strings_.reset();
  };
  owner_case("end the pool", 3, use, [&] { pool_.reset(); });
}

// What a worker leaves that is killed after it has sent the result of item 0, and before it has
// said so.
void die_with_a_result_sent(PoolShared& shared) {
  WorkerSlot& slot = shared.slots[0];
  Batch& batch = batch_in_first_lane(shared);
  slot.batch.store(&batch);
  slot.chunk.store(0);
  batch.states[0].store(Batch::running(0));
  slot.item.store(0);
  hand_over(allocate(100), *reinterpret_cast<std::atomic<void*>*>(batch.results));
}

// Worker and pool die one after the other: the pool while it recovers what the worker had.
TEST_F(PoolOwnerFaults, RecoveringWhatADeadWorkerHad) {
  const auto lose_a_worker = [&] {
    strings_.emplace(pool_->view().map_async(run_boxed, three, 3));
    pool_->core().close();
    run_and_end([&] { die_with_a_result_sent(pool_->shared()); });
    sweep_dead_processes();
  };
  owner_case("recover", 11, lose_a_worker, [&] { pool_->worker_died(1); });
}

// A worker is killed anywhere, and before the pool has done anything about it, it is killed too.
// Its owner is a third process here, and everything of both goes back, in either order.
TEST_F(PoolOwnerFaults, TheOwnerDiesRightAfterItsWorker) {
  for (const bool worker_first : {true, false}) {
    SharedBox<std::atomic<PoolShared*>> shared;
    std::optional<test_support::Child> owner;
    FaultPlan plan;
    plan.name = std::string("the owner dies after its worker, which is swept ") +
                (worker_first ? "before it" : "with it");
    plan.setup = [&] {
      owner.reset();
      tidy();
      before_ = Contents::look();
      test_support::Pipe ready;
      owner.emplace(test_support::start_child([&] {
        pool_.emplace();
        strings_.emplace(pool_->view().map_async(run_boxed, three, 2));
        pool_->core().close();
        shared->store(&pool_->shared());
        ready.send('x');
        for (;;) ::pause();
      }));
      (void)ready.receive<char>();
    };
    plan.operation = [&] { work(*shared->load(), 0); };
    plan.survivors = [&](const Trial& trial) {
      if (worker_first) sweep_dead_processes();
      owner.reset();  // killed and reaped
      scribble();
      bury_the_dead();
      expect_sound(trial);
      expect_same(trial, before_);
    };
    kill_everywhere(plan, 5);
    owner.reset();
    tidy();
  }
}

// Another process sweeps the dead pool's owner and is killed; the next goes on.
TEST_F(PoolOwnerFaults, SweepingADeadOwner) {
  FaultPlan plan;
  plan.name = "sweep of a pool's owner";
  plan.shared = family_words;
  plan.setup = [&] {
    tidy();
    before_ = Contents::look();
    run_and_end([&] {
      pool_.emplace();
      std::vector<int> items(100, 3);  // more than fit the batch's own block
      strings_.emplace(pool_->view().map_async(run_boxed, items, 10));
      pool_->core().close();
      run_and_end([&] { work(pool_->shared(), 0); });
      sweep_dead_processes();  // the results are in slabs that nobody owns
    });
  };
  plan.operation = [] { sweep_dead_processes(); };
  plan.survivors = [&](const Trial& trial) {
    scribble();
    bury_the_dead();
    expect_sound(trial);
    expect_same(trial, before_);
    use_blocks(trial, 300);
  };
  kill_everywhere(plan, 1999);
}

}  // namespace
}  // namespace procession::faults
