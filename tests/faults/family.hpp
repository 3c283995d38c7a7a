// The family memory under the kill harness: what must hold in it after every death, and what must
// be in it.
//
//   class AllocatorFaults : public FamilyFaults {};
//   TEST_F(AllocatorFaults, ...) {
//     FaultPlan plan;
//     plan.operation = [] { (void)allocate(100); };   // the child is a member by its fork
//     plan.setup = [&] {                              // the last trial may have been thrown away
//       bury_the_dead();                              // before its survivors saw it
//       baseline = Contents::look();
//     };
//     plan.survivors = [&](const Trial& trial) {
//       bury_the_dead();                              // sweep, and collect the child's slot
//       expect_sound(trial);                          // the numbered invariants
//       expect_same(trial, baseline);                 // nothing lost, nothing left
//       use_blocks(trial, 100);                       // and it goes on working
//     };
//     kill_everywhere(plan);
//   }
//
// Contents are compared block by block. That is exact only if this process keeps no free blocks
// for itself (invariant 4 of memory/heap.hpp), as such a block is in use by what the slabs say. So
// the fixture empties what is kept, and tests free with free_block().
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness.hpp"
#include "procession/detail/memory.hpp"

namespace procession::faults {

class FamilyFaults : public ::testing::Test {
 protected:
  void SetUp() override;
};

// Runs the plan, prints its report and expects it to be without failure. A stride above 1 is for
// operations of which every instruction would take too long in each run of the tests: every
// `stride`-th is killed, each system call, and wherever plan.shared changes.
// PROCESSION_FAULT_STRIDE in the environment overrides it; 1 is the long form.
FaultReport kill_everywhere(FaultPlan& plan, std::size_t stride = 1);

// Every block in use and every member of the family.
struct Contents {
  struct Block {
    std::size_t bytes;
    std::uint32_t owner;
    std::uint64_t home;
  };
  std::map<void*, Block> blocks;
  std::size_t blocks_reported;  // by memory_stats()
  std::size_t bytes_reported;
  std::size_t members;

  static Contents look();
  // What is here and not in `before`, and the other way; empty if they are the same.
  [[nodiscard]] std::string changes_since(const Contents& before) const;
};
void expect_same(const Trial& trial, const Contents& before);

// Sweeps all the dead, and collects the slots of those that were children of this process.
void bury_the_dead();

// Page heap 1, 4, 5; heap 1; process table 1 and 4; references 1, 2. REQUIRES: the dead are
// swept, nobody else is at work.
void expect_sound(const Trial& trial);

// Takes and frees blocks of that size on all ways; none may be in use by somebody else.
void use_blocks(const Trial& trial, std::size_t bytes);

// A block that goes back to its slab, and is not kept.
void free_block(void* block);
// Those that are kept all the same, of every size.
void return_kept_blocks();
// Gives back the pages of slabs that nobody owns and nobody uses, and merges free runs, so that a
// call takes the same way through the heap in each trial.
void tidy_heap();

// References to the object that ledgers and blocks hold, counted one by one.
std::size_t count_references(const detail::Object* object);

// How many pieces the table of threads has. It grows rather than forget who died with a lock in
// its hands, and its pieces stay as long as the family.
std::size_t thread_table_pieces();

// A second process that runs `body` and ends, untraced. It is reaped, not buried.
void run_and_end(const std::function<void()>& body);

// For FaultPlan::shared: header, process table and page words; slabs' own words.
std::vector<std::span<const std::byte>> family_words();

// Memory that a child of this process sees too, zeroed.
template <class T>
class SharedBox {
 public:
  SharedBox() : at_(static_cast<T*>(map(sizeof(T)))) {}
  ~SharedBox() { unmap(at_, sizeof(T)); }
  SharedBox(const SharedBox&) = delete;
  SharedBox& operator=(const SharedBox&) = delete;
  T* operator->() const { return at_; }
  T& operator*() const { return *at_; }

 private:
  static void* map(std::size_t bytes);
  static void unmap(void* at, std::size_t bytes);
  T* at_;
};

void* map_shared(std::size_t bytes);
void unmap_shared(void* at, std::size_t bytes);
template <class T>
void* SharedBox<T>::map(std::size_t bytes) {
  return map_shared(bytes);
}
template <class T>
void SharedBox<T>::unmap(void* at, std::size_t bytes) {
  unmap_shared(at, bytes);
}

}  // namespace procession::faults
