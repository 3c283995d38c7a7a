#include "ship/module_table.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <vector>

#include "memory/family.hpp"
#include "memory/robust_mutex.hpp"
#include "memory/roots.hpp"
#include "memory/sweep.hpp"
#include "procession/detail/memory.hpp"

namespace procession::detail {

namespace {

ModuleBlock* block_at(std::atomic<void*>& link) noexcept {
  return static_cast<ModuleBlock*>(link.load(std::memory_order_acquire));
}

// Calls visit(block) for each block until one returns true; the link at the end otherwise.
template <class Visit>
std::atomic<void*>* walk(Visit visit) noexcept {
  std::atomic<void*>* link = &family_root(FamilyRoot::Modules);
  while (ModuleBlock* block = block_at(*link)) {
    if (visit(*block)) return nullptr;
    link = &block->next;
  }
  return link;
}

ModuleBlock* make_block(std::span<const ModuleEntry> entries, std::size_t first) {
  void* memory = allocate(sizeof(ModuleBlock) + entries.size_bytes());
  auto* block = new (memory) ModuleBlock{};
  block->next.store(nullptr, std::memory_order_relaxed);
  block->first = static_cast<std::uint32_t>(first);
  block->count = static_cast<std::uint32_t>(entries.size());
  std::ranges::copy(entries, block->entries().begin());
  return block;
}

}  // namespace

std::span<const ModuleEntry> ModuleBlock::entries() const noexcept {
  return {reinterpret_cast<const ModuleEntry*>(this + 1), count};
}

std::span<ModuleEntry> ModuleBlock::entries() noexcept {
  return {reinterpret_cast<ModuleEntry*>(this + 1), count};
}

std::optional<std::uint32_t> find_module(const BuildId& id) noexcept {
  std::optional<std::uint32_t> found;
  walk([&](const ModuleBlock& block) {
    const auto entries = block.entries();
    const auto at = std::ranges::find(entries, id, &ModuleEntry::id);
    if (at == entries.end()) return false;
    found = block.first + static_cast<std::uint32_t>(at - entries.begin());
    return true;
  });
  return found;
}

const ModuleEntry* module_entry(std::uint32_t number) noexcept {
  const ModuleEntry* found = nullptr;
  walk([&](const ModuleBlock& block) {
    if (number - block.first >= block.count) return false;
    found = &block.entries()[number - block.first];
    return true;
  });
  return found;
}

std::size_t count_modules() noexcept {
  std::size_t count = 0;
  walk([&](const ModuleBlock& block) {
    count = std::size_t{block.first} + block.count;
    return false;
  });
  return count;
}

// The block is made without the lock, because making it may need to sweep after a dead process,
// and is made again if the table has grown meanwhile.
void add_modules(std::span<const ModuleEntry> modules) {
  while (true) {
    const std::size_t known = count_modules();
    std::vector<ModuleEntry> missing;
    std::ranges::copy_if(modules, std::back_inserter(missing),
                         [](const ModuleEntry& module) { return !find_module(module.id); });
    if (missing.empty()) return;
    ModuleBlock* block = make_block(missing, known);
    {
      const SweepGuard guard;
      if (count_modules() == known) {
        hand_over(block, *walk([](const ModuleBlock&) { return false; }));
        return;
      }
    }
    deallocate(block);
  }
}

}  // namespace procession::detail
