// memory/process_table and memory/sweep: slots are never lost and never given twice, and whoever
// follows a killed sweeper finishes its work.
#include <unistd.h>

#include <cstring>
#include <functional>
#include <set>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/process_table.hpp"
#include "memory/references.hpp"
#include "memory/sweep.hpp"

namespace procession::faults {
namespace {

using namespace detail;

SlotWord word_of(std::uint32_t index) {
  return SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
}

// What a claim changes; little, as the long clearing of a chunk is watched step by step.
std::vector<std::span<const std::byte>> table_words() {
  const auto bytes = [](const void* from, std::size_t count) {
    return std::span(static_cast<const std::byte*>(from), count);
  };
  return {bytes(&family().page_mutex, sizeof(RobustMutex)), bytes(&family().top, 8),
          bytes(&family().sweep_mutex, sizeof(RobustMutex) + sizeof(ProcessTable)),
          bytes(&page_word(0), family().top.load() * 8),
          bytes(&slot_at(ProcessTable::first_chunk), sizeof(ProcessSlot))};
}

void bury_everything() {
  bury_the_dead();
  tidy_heap();
}

// Slots can be claimed, are claimed once, and begin empty.
void use_slots(const Trial& trial) {
  std::set<std::uint32_t> mine;
  for (int i = 0; i < 3; ++i) {
    const std::uint32_t index = claim_slot("survivor", false);
    const ProcessSlot& slot = slot_at(index);
    trial.expect(mine.insert(index).second, "a slot is claimed once");
    trial.expect(word_of(index).maker == self_index(), "process table 1: the maker is known");
    trial.expect(slot.ledger.load() == nullptr && slot.task.load() == nullptr,
                 "a new slot holds nothing");
    trial.expect(slot.parent == self_index() && slot.pid.load() == 0 && slot.ended.load() == 0,
                 "a new slot is cleared");
  }
  for (const std::uint32_t index : mine) collect_slot(index, generation_of(index));
}

class ProcessTableFaults : public FamilyFaults {
 protected:
  void expect_whole(const Trial& trial) const {
    bury_the_dead();
    expect_sound(trial);
    expect_same(trial, before_);
    use_slots(trial);
    expect_same(trial, before_);
  }
  Contents before_;
};

TEST_F(ProcessTableFaults, ClaimingASlot) {
  SharedBox<std::atomic<std::uint32_t>> claimed;
  FaultPlan plan;
  plan.name = "claim_slot";
  plan.shared = family_words;
  plan.setup = [&] {
    bury_everything();
    claimed->store(0);
    before_ = Contents::look();
  };
  plan.operation = [&] { claimed->store(claim_slot("a process to be", true)); };
  plan.survivors = [&](const Trial& trial) {
    const std::uint32_t index = claimed->load();
    const std::uint32_t generation = index != 0 ? generation_of(index) : 0;
    expect_whole(trial);
    trial.expect(!trial.completed || index != 0, "a whole claim is seen");
    trial.expect(index == 0 || generation_of(index) > generation, "the next generation");
  };
  kill_everywhere(plan);
}

// All slots there are are taken: another chunk of them is made.
TEST_F(ProcessTableFaults, ClaimingASlotWhenTheTableMustGrow) {
  auto& chunks = family().processes.chunks;
  ASSERT_EQ(chunks[1].load(), nullptr) << "this test needs a table that has not grown";
  std::vector<std::uint32_t> mine;
  const auto shrink = [&] {
    bury_everything();
    for (const std::uint32_t index : mine) collect_slot(index, generation_of(index));
    mine.clear();
    if (void* chunk = chunks[1].load()) {
      chunks[1].store(nullptr);
      chunks[1].store(chunk);
      deallocate_if_home(chunk, chunks[1]);
      chunks[1].store(nullptr);
    }
  };
  FaultPlan plan;
  plan.name = "claim_slot, the table grows";
  plan.shared = table_words;
  plan.setup = [&] {
    shrink();
    before_ = Contents::look();
    // One is left for the child itself.
    while (mine.size() + 2 < ProcessTable::first_chunk) mine.push_back(claim_slot("taken", false));
  };
  plan.operation = [] { (void)claim_slot("a process to be", true); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    use_slots(trial);
    const std::size_t members = Contents::look().members;
    trial.expect(members == before_.members + mine.size(), "only what was claimed here is taken");
    shrink();
    expect_same(trial, before_);
  };
  // Clearing the chunk takes a hundred thousand steps, none of which anybody can see.
  kill_everywhere(plan, 1'000'000);
  shrink();
}

// The child's side of a start. Here the child joins a second slot, beside that of its fork.
TEST_F(ProcessTableFaults, JoiningASlot) {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  const auto give_up = [&] {
    bury_the_dead();
    if (index != 0) collect_slot(index, generation);
    index = 0;
    tidy_heap();
  };
  FaultPlan plan;
  plan.name = "join_slot";
  plan.shared = family_words;
  plan.setup = [&] {
    give_up();
    before_ = Contents::look();
    index = claim_slot("a process to be", false);
    generation = generation_of(index);
  };
  plan.operation = [&] {
    if (!join_slot(index, generation)) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    const SlotState state = word_of(index).state;
    trial.expect(state == SlotState::Starting || state == SlotState::Alive, "joined or not");
    trial.expect(state != SlotState::Starting || !trial.completed, "a whole join is seen");
    trial.expect(state != SlotState::Alive || slot_is_dead(slot_at(index)), "its death is seen");
    trial.expect(generation_of(index) == generation, "still the same generation");
    const std::uint32_t was = index;
    give_up();
    trial.expect(generation_of(was) == generation + 1, "the next generation");
    trial.expect(!join_slot(was, generation), "nobody joins what was taken back");
    expect_whole(trial);
  };
  kill_everywhere(plan, 3);
}

TEST_F(ProcessTableFaults, CollectingASlot) {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  SharedBox<std::uint32_t> slot_of_the_dead;
  FaultPlan plan;
  plan.name = "collect_slot";
  plan.shared = family_words;
  plan.setup = [&] {
    bury_everything();
    before_ = Contents::look();
    run_and_end([&] {
      *slot_of_the_dead = self_index();
      self().uncollected = 0;  // as of a process that was started, and not just forked
      (void)allocate(100);
    });
    sweep_dead_processes();
    index = *slot_of_the_dead;
    generation = generation_of(index);
    ASSERT_EQ(word_of(index).state, SlotState::Ended);
  };
  plan.operation = [&] { collect_slot(index, generation); };
  plan.survivors = [&](const Trial& trial) {
    const SlotState state = word_of(index).state;
    trial.expect(state == SlotState::Ended || generation_of(index) == generation + 1,
                 "process table 5: what became of it is kept until it was read");
    trial.expect(!trial.completed || generation_of(index) == generation + 1, "it was collected");
    collect_slot(index, generation);
    collect_slot(index, generation);
    trial.expect(generation_of(index) == generation + 1, "it is collected once");
    expect_whole(trial);
  };
  kill_everywhere(plan);
}

// --- the sweeper ---------------------------------------------------------------------------

// What the dead third process leaves: blocks of several kinds, one of them handed over, objects,
// and a slot that it has claimed, with a task.
void leave_a_lot(std::atomic<void*>& home, Object* held) {
  for (int i = 0; i < 3; ++i) (void)allocate(100);
  (void)allocate(200 << 10);
  hand_over(std::memset(allocate(100), 0x5a, 100), home);
  (void)create_object(ObjectKind::Test, sizeof(Object), "its own");
  void* carrier = allocate(300);
  carry_reference(carrier, held);
  const std::uint32_t slot = claim_slot("never started", false);
  void* task = allocate(300);
  carry_reference(task, held);
  hand_over(task, slot_at(slot).task);
  lock_ledger_for_fork();
  copy_ledger_to(slot);
  unlock_ledger_after_fork();
}

class SweepFaults : public ProcessTableFaults {
 protected:
  void sweep_case(const char* name, const std::function<void()>& operation) {
    auto* home = new (allocate(64)) std::atomic<void*>{nullptr};
    Object* held = create_object(ObjectKind::Test, sizeof(Object), "held");
    const auto drop_given = [&] {
      bury_the_dead();
      if (void* given = home->load()) deallocate_if_home(given, *home);
      home->store(nullptr);
      tidy_heap();
    };
    FaultPlan plan;
    plan.name = name;
    plan.shared = family_words;
    plan.setup = [&] {
      drop_given();
      before_ = Contents::look();
      run_and_end([&] {
        *slot_of_the_dead_ = self_index();
        leave_a_lot(*home, held);
      });
      generation_ = generation_of(*slot_of_the_dead_);
    };
    plan.operation = operation;
    plan.survivors = [&](const Trial& trial) {
      use_blocks(trial, 100);  // before anybody has finished what the sweeper began
      use_blocks(trial, 200 << 10);
      bury_the_dead();
      expect_sound(trial);
      trial.expect(held->references == 1, "only this process holds the object");
      const auto* given = static_cast<const unsigned char*>(home->load());
      trial.expect(find_block(given) == given && given[0] == 0x5a && given[99] == 0x5a,
                   "what was handed over is intact");
      use_blocks(trial, 100);
      trial.expect(generation_of(*slot_of_the_dead_) == generation_ + 1, "the next generation");
      drop_given();
      expect_whole(trial);
    };
    kill_everywhere(plan, 23);
    drop_given();
    release(held);
    free_block(home);
  }

  SharedBox<std::uint32_t> slot_of_the_dead_;
  std::uint32_t generation_ = 0;
};

TEST_F(SweepFaults, SweepingADeadProcess) {
  sweep_case("sweep", [] { sweep_dead_processes(); });
}

// As its parent does it, which knows that it is gone.
TEST_F(SweepFaults, CollectingADeadProcess) {
  sweep_case("sweep and collect", [&] { collect_slot(*slot_of_the_dead_, generation_); });
}

}  // namespace
}  // namespace procession::faults
