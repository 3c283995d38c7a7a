// ship/module_table: the family's table of modules, while somebody who adds to it is killed.
#include <array>
#include <cstring>
#include <optional>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/roots.hpp"
#include "memory/sweep.hpp"
#include "ship/module_table.hpp"
#include "ship/modules.hpp"

namespace procession::faults {
namespace {

using namespace detail;

constexpr std::string_view made_up = "made up";

ModuleEntry module_of(std::uint8_t number) {
  ModuleEntry entry{};
  entry.id.fill(number);
  entry.size = 1000u + number;
  copy_text(entry.name, sizeof entry.name, made_up);
  return entry;
}

// Takes made-up modules out again, which the library never does.
void cut_off() {
  std::atomic<void*>* link = &family_root(FamilyRoot::Modules);
  while (auto* block = static_cast<ModuleBlock*>(link->load())) {
    if (block->entries()[0].name == made_up) {
      link->store(nullptr);
      for (void* next = block; next != nullptr;) {
        auto* dropped = static_cast<ModuleBlock*>(next);
        next = dropped->next.load();
        free_block(dropped);
      }
      return;
    }
    link = &block->next;
  }
}

class ModuleTableFaults : public FamilyFaults {};

TEST_F(ModuleTableFaults, AddingModules) {
  const std::array<ModuleEntry, 2> added{module_of(1), module_of(2)};
  const std::array<ModuleEntry, 2> further{module_of(2), module_of(3)};
  (void)loaded_modules();  // this program's own
  const std::size_t known = count_modules();
  Contents before;
  FaultPlan plan;
  plan.name = "add modules";
  plan.shared = family_words;
  plan.setup = [&] {
    bury_the_dead();
    cut_off();
    return_kept_blocks();
    tidy_heap();
    before = Contents::look();
  };
  plan.operation = [&] { add_modules(added); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    const auto first = find_module(added[0].id);
    const auto second = find_module(added[1].id);
    trial.expect(first.has_value() == second.has_value(), "modules 1: all of a block or none");
    trial.expect(first.has_value() || !trial.completed, "a whole call is seen");
    trial.expect(!first || (*first == known && *second == known + 1), "modules 2: without gap");

    add_modules(further);
    const auto third = find_module(further[1].id);
    trial.expect(third == count_modules() - 1, "another can add");
    trial.expect(count_modules() == known + (first ? 3 : 2), "modules 2: no module is there twice");
    for (std::size_t number = known; number < count_modules(); ++number) {
      const ModuleEntry* entry = module_entry(static_cast<std::uint32_t>(number));
      trial.expect(
          entry != nullptr && entry->name == made_up && entry->size == 1000u + entry->id[0],
          "every entry is whole");
    }
    cut_off();
    return_kept_blocks();
    bury_the_dead();
    tidy_heap();
    expect_same(trial, before);
  };
  kill_everywhere(plan);
  cut_off();
}

}  // namespace
}  // namespace procession::faults
