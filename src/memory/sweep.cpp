#include "memory/sweep.hpp"

#include <array>

#include "memory/family.hpp"
#include "memory/hands.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/references.hpp"

namespace procession::detail {
namespace {

std::array<BlockFinalizer, 8>& finalizers() noexcept {
  static std::array<BlockFinalizer, 8> table{};
  return table;
}

// Calls visit(page) for every run of the owner. The page heap is not locked meanwhile, so that
// the visitor may give pages.
template <class Visit>
void for_each_run_of(std::uint32_t owner, Visit visit) noexcept {
  std::array<std::size_t, 256> pages;
  std::size_t from = 0;
  for (std::size_t count = pages.size(); count == pages.size();) {
    count = 0;
    for_each_run([&](std::size_t page, const PageRun& run) {
      if (run.owner == owner && page >= from && count < pages.size()) pages[count++] = page;
    });
    for (std::size_t i = 0; i < count; ++i) visit(pages[i]);
    if (count != 0) from = pages[count - 1] + 1;
  }
}

// A finalizer reads other blocks of the dead process, so each must have run before any block is
// freed: what is free may be another process's a moment later. A block that was finalized becomes
// Plain, and whoever follows a dead sweeper passes it over.
void finalize_run(std::size_t page) noexcept {
  for_each_block(page, [](void* block) {
    if (!reachable(block)) finalize(block);
  });
}

// Frees what nobody reaches in a run of the dead; the rest is nobody's from now on.
void sweep_run(std::size_t page) noexcept {
  std::size_t left = 0;
  for_each_block(page, [&](void* block) {
    if (reachable(block)) {
      ++left;
    } else {
      deallocate(block);
    }
  });
  PageRun run = PageRun::from(page_word(page).load(std::memory_order_acquire));
  if (run.kind == PageKind::Slab && left == 0) {
    give_pages(page);
  } else if (run.kind == PageKind::Slab || (run.kind == PageKind::Large && left != 0)) {
    run.owner = 0;
    page_word(page).store(run.word(), std::memory_order_release);
  }
}

void sweep_runs(std::uint32_t owner) noexcept {
  for_each_run_of(owner, finalize_run);
  for_each_run_of(owner, sweep_run);
  announce_orphans();
}

void store_state(std::uint32_t index, SlotState state) noexcept {
  auto& word = slot_at(index).state;
  SlotWord slot = SlotWord::from(word.load(std::memory_order_acquire));
  slot.state = state;
  if (state == SlotState::Free) {
    ++slot.generation;
    slot.maker = 0;
  }
  word.store(slot.word(), std::memory_order_release);
}

void sweep_locked(std::uint32_t index) noexcept;

// What hung on the life of process `index` in other slots.
void sweep_dependants(std::uint32_t index, std::uint32_t generation) noexcept {
  for (std::uint32_t other = 1; other < slot_limit(); ++other) {
    ProcessSlot& slot = slot_at(other);
    std::uint64_t word = slot.state.load(std::memory_order_acquire);
    SlotWord state = SlotWord::from(word);
    if (state.state == SlotState::Starting && state.maker == index) {
      state.state = SlotState::Leaving;
      if (slot.state.compare_exchange_strong(word, state.word())) sweep_locked(other);
    } else if (state.state == SlotState::Ended && slot.parent == index &&
               slot.parent_generation == generation) {
      store_state(other, SlotState::Free);
    }
  }
}

// REQUIRES: sweep_mutex; the process is gone, or never came to be.
void sweep_locked(std::uint32_t index) noexcept {
  ProcessSlot& slot = slot_at(index);
  store_state(index, SlotState::Leaving);
  settle_transactions();
  drop_hands(index);  // before the objects go that they take from
  drop_ledger(index);
  if (void* task = slot.task.load(std::memory_order_acquire)) {
    deallocate_if_home(task, slot.task);
    slot.task.store(nullptr, std::memory_order_release);
  }
  sweep_runs(index);
  sweep_dependants(index, generation_of(index));
  const bool awaited = slot.uncollected == 0 && same_member(slot.parent, slot.parent_generation);
  store_state(index, awaited ? SlotState::Ended : SlotState::Free);
}

// A sweep whose sweeper died is done again.
void finish_interrupted() noexcept {
  for (std::uint32_t index = 1; index < slot_limit(); ++index) {
    const SlotWord state = SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
    if (state.state == SlotState::Leaving) sweep_locked(index);
  }
}

}  // namespace

SweepGuard::SweepGuard() noexcept : guard_(family().sweep_mutex) {
  if (guard_.previous_died()) finish_interrupted();
}

void sweep_process(std::uint32_t index, std::uint32_t generation) noexcept {
  SweepGuard guard;
  const SlotWord state = SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
  if (state.generation != generation) return;
  if (state.state == SlotState::Alive || state.state == SlotState::Starting) sweep_locked(index);
}

bool sweep_dead_processes() noexcept {
  SweepGuard guard;
  bool found = false;
  for (std::uint32_t index = 1; index < slot_limit(); ++index) {
    ProcessSlot& slot = slot_at(index);
    const SlotWord state = SlotWord::from(slot.state.load(std::memory_order_acquire));
    if (state.state != SlotState::Alive || index == self_index() || !slot_is_dead(slot)) continue;
    sweep_locked(index);
    found = true;
  }
  return found;
}

void collect_slot(std::uint32_t index, std::uint32_t generation) noexcept {
  sweep_process(index, generation);
  SweepGuard guard;
  const SlotWord state = SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
  if (state.generation == generation && state.state == SlotState::Ended) {
    store_state(index, SlotState::Free);
  }
}

void finalize(void* block) noexcept {
  const BlockFinalizer finalizer = finalizers()[static_cast<std::size_t>(header_of(block).kind())];
  if (finalizer == nullptr) return;
  finalizer(block);
  set_block_kind(block, BlockKind::Plain);
}

void set_block_finalizer(BlockKind kind, BlockFinalizer finalizer) noexcept {
  finalizers()[static_cast<std::size_t>(kind)] = finalizer;
}

}  // namespace procession::detail
