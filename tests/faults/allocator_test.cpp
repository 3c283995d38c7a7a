// memory/heap and memory/page_heap: every way to take and to give a block.
//
// In each case the child does one call, and what it holds goes back when it is swept: the family
// memory must then hold what it held before, block by block, however far the call had come.
#include <cstring>
#include <functional>
#include <optional>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/sweep.hpp"

namespace procession::faults {
namespace {

using namespace detail;

constexpr std::size_t small = 100;
constexpr std::size_t large = 200 << 10;

using Body = std::function<void()>;

class AllocatorFaults : public FamilyFaults {
 protected:
  // The child's call, after `prepare` in the child; `bytes` is what survivors allocate.
  FaultReport run(const char* name, std::size_t bytes, Body prepare, Body operation) {
    FaultPlan plan;
    plan.name = name;
    plan.shared = family_words;
    plan.setup = [&] {
      bury_the_dead();
      tidy_heap();
      before_ = Contents::look();
    };
    plan.prepare = std::move(prepare);
    plan.operation = std::move(operation);
    plan.survivors = [&](const Trial& trial) {
      bury_the_dead();
      expect_sound(trial);
      expect_same(trial, before_);
      use_blocks(trial, bytes);
      expect_same(trial, before_);
    };
    return kill_everywhere(plan);
  }

  Contents before_;
};

TEST_F(AllocatorFaults, ABlockFromAFreshSlab) {
  run(
      "small, fresh slab", small, [] {}, [] { (void)allocate(small); });
}

TEST_F(AllocatorFaults, ABlockFromASlabWithFreeBlocks) {
  run(
      "small, slab with free blocks", small, [] { (void)allocate(small); },
      [] { (void)allocate(small); });
}

// The search goes through the words of the slab.
TEST_F(AllocatorFaults, ABlockFromTheNextWordOfASlab) {
  const auto fill_a_word = [] {
    for (int i = 0; i < 64; ++i) (void)allocate(small);
  };
  run("small, next word", small, fill_a_word, [] { (void)allocate(small); });
}

TEST_F(AllocatorFaults, ABlockFromThoseThatAreKept) {
  run(
      "small, kept", small, [] { deallocate(allocate(small)); }, [] { (void)allocate(small); });
}

TEST_F(AllocatorFaults, ALargeBlock) {
  run(
      "large", large, [] {}, [] { (void)allocate(large); });
}

TEST_F(AllocatorFaults, ALargeBlockFromFreeRunsThatAreMerged) {
  const auto leave_runs = [] {
    void* first = allocate(large);
    void* second = allocate(large);
    void* last = allocate(small << 12);  // so that they do not end at top
    free_block(second);
    free_block(first);
    (void)last;
  };
  run("large, merged", large, leave_runs, [] { (void)allocate(large + large / 2); });
}

TEST_F(AllocatorFaults, GivingBackASmallBlock) {
  static void* block;
  run(
      "give back, kept", small, [] { block = allocate(small); }, [] { deallocate(block); });
}

TEST_F(AllocatorFaults, GivingBackASmallBlockWhenEnoughAreKept) {
  static void* block;
  const auto keep_many = [] {
    void* blocks[65];
    for (void*& each : blocks) each = allocate(small);
    block = blocks[64];
    for (int i = 0; i < 64; ++i) deallocate(blocks[i]);
  };
  run("give back, to the slab", small, keep_many, [] { deallocate(block); });
}

TEST_F(AllocatorFaults, GivingBackALargeBlock) {
  static void* block;
  run(
      "give back, large", large, [] { block = allocate(large); }, [] { deallocate(block); });
}

// Where much is free but touched, the machine gets the memory back while the run is still ours.
TEST_F(AllocatorFaults, GivingBackALargeBlockAndItsMemory) {
  static void* block;
  const auto prepare = [] {
    block = allocate(16 * page_bytes);
    std::memset(block, 1, block_size(block));
    family().dirty_free = 5000;
  };
  run("give back, large, punched", 16 * page_bytes, prepare, [] { deallocate(block); });
  family().dirty_free = 0;
}

// --- blocks that change hands --------------------------------------------------------------

TEST_F(AllocatorFaults, HandingOver) {
  for (const std::size_t bytes : {small, large}) {
    auto* home = new (allocate(64)) std::atomic<void*>{nullptr};
    Contents before;
    static void* block;
    FaultPlan plan;
    plan.name = "hand over " + std::to_string(bytes);
    plan.shared = family_words;
    const auto drop_given = [&] {
      bury_the_dead();
      if (void* given = home->load()) deallocate_if_home(given, *home);
      home->store(nullptr);
      tidy_heap();
    };
    plan.setup = [&] {
      drop_given();
      before = Contents::look();
    };
    plan.prepare = [&] {
      block = allocate(bytes);
      std::memset(block, 0x5a, block_size(block));
    };
    plan.operation = [&] { hand_over(block, *home); };
    plan.survivors = [&](const Trial& trial) {
      bury_the_dead();
      expect_sound(trial);
      if (void* given = home->load()) {
        trial.expect(find_block(given) == given, "what was handed over is in use");
        const auto* bytes_of = static_cast<const unsigned char*>(given);
        trial.expect(bytes_of[0] == 0x5a && bytes_of[block_size(given) - 1] == 0x5a,
                     "what was handed over is intact");
        use_blocks(trial, bytes);
        trial.expect(bytes_of[0] == 0x5a && bytes_of[block_size(given) - 1] == 0x5a,
                     "what was handed over stays intact");
        drop_given();
      } else {
        trial.expect(!trial.completed, "a whole hand_over is seen");
      }
      expect_same(trial, before);
      use_blocks(trial, bytes);
    };
    kill_everywhere(plan);
    free_block(home);
  }
}

// The block of a living process: it is in use, or it is free.
TEST_F(AllocatorFaults, GivingBackABlockOfAnotherProcess) {
  for (const std::size_t bytes : {small, large}) {
    Contents before;
    void* block = nullptr;
    FaultPlan plan;
    plan.name = "give back another's " + std::to_string(bytes);
    plan.shared = family_words;
    plan.setup = [&] {
      bury_the_dead();
      tidy_heap();
      if (block != nullptr && find_block(block) == block) free_block(block);
      before = Contents::look();
      block = allocate(bytes);
    };
    plan.operation = [&] { deallocate(block); };
    plan.survivors = [&](const Trial& trial) {
      bury_the_dead();
      expect_sound(trial);
      if (find_block(block) == block) {
        trial.expect(!trial.completed, "what was given back is free");
        free_block(block);
      }
      expect_same(trial, before);
      use_blocks(trial, bytes);
    };
    kill_everywhere(plan);
  }
}

// What a dead process leaves as a slab in which somebody else still has a block.
TEST_F(AllocatorFaults, AdoptingAnOrphanSlab) {
  auto* home = new (allocate(64)) std::atomic<void*>{nullptr};
  constexpr std::size_t bytes = 3000;  // of a class that nobody else uses
  const auto drop_given = [&] {
    bury_the_dead();
    if (void* given = home->load()) deallocate_if_home(given, *home);
    home->store(nullptr);
    tidy_heap();
  };
  Contents before;
  FaultPlan plan;
  plan.name = "adopt an orphan";
  plan.shared = family_words;
  plan.setup = [&] {
    drop_given();
    before = Contents::look();
    run_and_end([&] { hand_over(std::memset(allocate(bytes), 0x5a, bytes), *home); });
    bury_the_dead();
  };
  plan.operation = [] { (void)allocate(bytes); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    auto* given = static_cast<unsigned char*>(home->load());
    use_blocks(trial, bytes);
    trial.expect(find_block(given) == given && given[0] == 0x5a && given[bytes - 1] == 0x5a,
                 "the block that was handed over is intact");
    drop_given();
    expect_same(trial, before);
  };
  kill_everywhere(plan);
  free_block(home);
}

}  // namespace
}  // namespace procession::faults
