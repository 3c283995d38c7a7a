// The numbered invariants of src/memory/*.hpp, looked at from outside.
#include <map>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/process_table.hpp"
#include "memory/references.hpp"

namespace procession::faults {

using namespace detail;

namespace {

std::size_t entries_counted(std::map<const Object*, std::size_t>& counts, const auto& chunk) {
  std::size_t found = 0;
  for (const std::uint64_t entry : chunk.objects) {
    if (entry == 0) continue;
    ++counts[reinterpret_cast<const Object*>(entry)];
    ++found;
  }
  return found;
}

// A chain of chunks as the library walks it: a link counts while its block says that it hangs
// there.
template <class Chunk>
void count_chain(const Trial* trial, std::map<const Object*, std::size_t>& counts,
                 const std::atomic<void*>& head) {
  const std::atomic<void*>* link = &head;
  for (std::size_t length = 0;; ++length) {
    void* block = link->load(std::memory_order_acquire);
    if (block == nullptr || find_block(block) != block) return;
    if (header_of(block).home() != reinterpret_cast<std::uintptr_t>(link)) return;
    const auto* chunk = static_cast<const Chunk*>(block);
    entries_counted(counts, *chunk);
    link = &chunk->next;
    if (length > 1000) {
      if (trial != nullptr) trial->expect(false, "a chain of references has an end");
      return;
    }
  }
}

std::map<const Object*, std::size_t> count_all(const Trial* trial) {
  std::map<const Object*, std::size_t> counts;
  for (std::uint32_t i = 1; i < slot_limit(); ++i) {
    const auto word = SlotWord::from(slot_at(i).state.load(std::memory_order_acquire));
    if (word.state == SlotState::Free || word.state == SlotState::Ended) continue;
    count_chain<LedgerChunk>(trial, counts, slot_at(i).ledger);
  }
  for_each_run([&](std::size_t page, const PageRun&) {
    for_each_block(page, [&](void* block) {
      count_chain<ReferenceList>(trial, counts, header_of(block).references);
    });
  });
  return counts;
}

bool is_alive(std::uint32_t index) {
  if (index == 0 || index >= slot_limit()) return false;
  const auto word = SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
  return word.state == SlotState::Alive && !slot_is_dead(slot_at(index));
}

void expect_page_heap(const Trial& trial) {
  const std::size_t top = family().top.load();
  const std::size_t hint = family().hint.load();
  std::size_t page = 0;
  bool hint_begins_a_run = hint == top;
  std::map<std::uint32_t, std::size_t> orphans;
  while (page < top) {
    const PageRun run = PageRun::from(page_word(page).load());
    const bool used = run.kind == PageKind::Slab || run.kind == PageKind::Large;
    trial.expect(used || run.kind == PageKind::Free, "page heap 1: runs follow without gap");
    trial.expect(run.pages > 0 && page + run.pages <= top, "page heap 1: runs end at top");
    if (run.pages == 0) return;
    for (std::size_t i = 1; used && i < run.pages; ++i) {
      const PageRun inside = PageRun::from(page_word(page + i).load());
      trial.expect(inside.kind == PageKind::Inside && inside.pages == i, "page heap 4");
    }
    trial.expect(page >= hint || run.kind != PageKind::Free, "page heap 5: no free run below hint");
    hint_begins_a_run = hint_begins_a_run || page == hint;
    trial.expect(!used || run.owner == 0 || is_alive(run.owner), "a run belongs to who is alive");
    if (run.kind == PageKind::Slab && run.owner == 0) ++orphans[run.size_class];
    page += run.pages;
  }
  trial.expect(hint_begins_a_run, "page heap 5: hint is the first page of a run");
  for (const auto& [size_class, count] : orphans) {
    trial.expect(family().orphans[size_class].load() > 0, "a slab without owner can be adopted");
  }
}

void expect_slabs(const Trial& trial) {
  for_each_run([&](std::size_t page, const PageRun& run) {
    if (run.kind != PageKind::Slab) return;
    const auto* slab = static_cast<const Slab*>(page_address(page));
    trial.expect(slab->words == (slab->count + 63) / 64, "page heap 3: a slab is whole");
    const std::uint32_t rest = slab->count % 64;
    const std::uint64_t last = slab->free[slab->words - 1].load();
    trial.expect(rest == 0 || last >> rest == 0, "heap 1: no bit is set for a block that is not");
  });
}

void expect_slots(const Trial& trial) {
  for (std::uint32_t i = 1; i < slot_limit(); ++i) {
    const auto word = SlotWord::from(slot_at(i).state.load());
    switch (word.state) {
      case SlotState::Free:
      case SlotState::Ended:
        break;
      case SlotState::Starting:
        trial.expect(is_alive(word.maker), "process table 2: a Starting slot has a living maker");
        break;
      case SlotState::Alive:
        trial.expect(is_alive(i), "a member that is dead was swept");
        break;
      default:
        trial.expect(false, "process table 3: a Leaving slot outside of a sweep");
    }
  }
}

void expect_references(const Trial& trial) {
  const auto counts = count_all(&trial);
  for_each_run([&](std::size_t page, const PageRun&) {
    for_each_block(page, [&](void* block) {
      const std::uint64_t home = header_of(block).home();
      trial.expect(home != BlockHeader::dying, "references 2: a dying object is returned");
      if (home != BlockHeader::counted) return;
      const auto* object = static_cast<const Object*>(block);
      const auto at = counts.find(object);
      const std::size_t held = at == counts.end() ? 0 : at->second;
      trial.expect(held > 0, "references 2: an object lives while it is held");
      trial.expect(object->references == held, "references 1: every reference is counted once");
    });
  });
  for (const auto& [object, held] : counts) {
    trial.expect(object_at(object) == object, "references 2: what is held is alive");
  }
}

}  // namespace

std::size_t count_references(const Object* object) { return count_all(nullptr)[object]; }

void expect_sound(const Trial& trial) {
  expect_page_heap(trial);
  expect_slabs(trial);
  expect_slots(trial);
  expect_references(trial);
}

}  // namespace procession::faults
