#include "ship/modules.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "memory/family.hpp"
#include "procession/errors.hpp"
#include "ship/local_modules.hpp"
#include "ship/module_table.hpp"

namespace procession::detail {

namespace {

constexpr std::uint32_t no_module = ~std::uint32_t{0};

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uintptr_t base = 0;
  std::uint32_t number = no_module;
  mutable std::atomic<bool> pinned{false};
  std::string path;
};

struct Map {
  LoaderCounts counts;
  std::size_t size = 0;
  std::unique_ptr<Range[]> ranges;      // by address
  std::vector<const Range*> by_number;  // nullptr: not loaded here
  const Map* older = nullptr;           // readers may hold any map ever published

  const Range* at(std::uintptr_t address) const noexcept {
    const Range* last = ranges.get() + size;
    const Range* found = std::upper_bound(
        static_cast<const Range*>(ranges.get()), last, address,
        [](std::uintptr_t wanted, const Range& range) { return wanted < range.end; });
    return found != last && found->begin <= address ? found : nullptr;
  }
  const Range* numbered(std::uint32_t number) const noexcept {
    return number < by_number.size() ? by_number[number] : nullptr;
  }
};

std::atomic<const Map*> current{nullptr};

std::unique_ptr<const Map> make_map(LoaderSnapshot snapshot, const Map* old) {
  auto& modules = snapshot.modules;
  std::ranges::sort(modules, {}, &LocalModule::begin);
  auto map = std::make_unique<Map>();
  map->counts = snapshot.counts;
  map->older = old;
  map->size = modules.size();
  map->ranges = std::make_unique<Range[]>(modules.size());
  for (std::size_t i = 0; i < modules.size(); ++i) {
    Range& range = map->ranges[i];
    range.begin = modules[i].begin;
    range.end = modules[i].end;
    range.base = modules[i].base;
    range.number = find_module(modules[i].entry.id).value_or(no_module);
    range.path = std::move(modules[i].path);
    const Range* before = old != nullptr ? old->at(range.begin) : nullptr;
    range.pinned = before != nullptr && before->number == range.number && before->pinned;
    if (range.number == no_module) continue;
    if (map->by_number.size() <= range.number) map->by_number.resize(range.number + 1);
    // Two copies of one library: the first one stands for both.
    auto& place = map->by_number[range.number];
    if (place == nullptr || (range.pinned && !place->pinned)) place = &range;
  }
  return map;
}

void add_to_table(const std::vector<LocalModule>& modules) {
  std::vector<ModuleEntry> entries;
  for (const LocalModule& module : modules) {
    if (std::ranges::find(entries, module.entry.id, &ModuleEntry::id) == entries.end()) {
      entries.push_back(module.entry);
    }
  }
  add_modules(entries);
}

// A map that is as new as the loader. Looking and publishing without a lock: whoever loses the
// race looks again.
const Map& refresh() {
  const Map* old = current.load(std::memory_order_acquire);
  while (true) {
    if (old != nullptr && old->counts == count_local_modules()) return *old;
    ensure_family();
    LoaderSnapshot snapshot = list_local_modules();
    add_to_table(snapshot.modules);
    std::unique_ptr<const Map> fresh = make_map(std::move(snapshot), old);
    if (current.compare_exchange_strong(old, fresh.get(), std::memory_order_acq_rel)) {
      old = fresh.release();  // lives as long as the process
    }
  }
}

// The slow path: what `find(map)` gives in a map that is up to date, its module pinned.
template <class Find>
const Range* find_and_pin(Find find) {
  while (true) {
    const Map& map = refresh();
    const Range* range = find(map);
    if (range == nullptr || range->number == no_module) return nullptr;
    if (range->pinned) return range;
    // Pinned by its path and unchanged since it was looked up: the module of this range.
    if (pin_module(range->path) && map.counts.removed == count_local_modules().removed) {
      range->pinned.store(true, std::memory_order_release);
      return range;
    }
    if (map.counts == count_local_modules()) return nullptr;  // the loader does not know the path
  }
}

template <class Find>
const Range* find_range(Find find) {
  const Map* map = current.load(std::memory_order_acquire);
  const Range* range = map != nullptr ? find(*map) : nullptr;
  if (range != nullptr && range->pinned.load(std::memory_order_acquire)) return range;
  return find_and_pin(find);
}

}  // namespace

CodeAddress code_address(const void* function) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  const Range* range = find_range([&](const Map& map) { return map.at(address); });
  if (range == nullptr) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", function);
    throw NotShippable("the address " + std::string(text) +
                       " lies in no loaded program or library, so that no other process can find "
                       "it; pass a function of the program, not code made at run time");
  }
  return {range->number, address - range->base};
}

void* resolve(CodeAddress address) {
  const Range* range = find_range([&](const Map& map) { return map.numbered(address.module); });
  if (range == nullptr) return nullptr;
  const std::uintptr_t here = range->base + address.offset;
  return here >= range->begin && here < range->end ? reinterpret_cast<void*>(here) : nullptr;
}

void write_code(Writer& writer, const void* function) {
  const CodeAddress address =
      function != nullptr ? code_address(function) : CodeAddress{no_module, 0};
  if (function != nullptr) writer.add_module(address.module);
  writer.align(alignof(std::uint64_t));
  writer.write(&address.offset, sizeof address.offset);
  writer.write(&address.module, sizeof address.module);
}

void* read_code(Reader& reader) {
  CodeAddress address{};
  reader.align(alignof(std::uint64_t));
  std::memcpy(&address.offset, reader.take(sizeof address.offset), sizeof address.offset);
  std::memcpy(&address.module, reader.take(sizeof address.module), sizeof address.module);
  if (address.module == no_module) return nullptr;
  if (void* function = resolve(address)) return function;
  throw NotShippable("a message refers to a function in " + module_name(address.module) +
                     ", which this process has not loaded; load it before the fork server starts, "
                     "or use StartMethod::Fork");
}

LoadedSet loaded_modules() {
  const Map& map = refresh();
  LoadedSet set(map.by_number.size());
  for (std::size_t i = 0; i < set.size(); ++i) set[i] = map.by_number[i] != nullptr;
  return set;
}

std::size_t module_count() {
  ensure_family();
  return count_modules();
}

std::string module_name(std::uint32_t module) {
  ensure_family();
  const ModuleEntry* entry = module_entry(module);
  return entry != nullptr ? entry->name : "?";
}

void require_module(CodeAddress address, const LoadedSet& of_receiver, std::string_view call) {
  if (address.module < of_receiver.size() && of_receiver[address.module]) return;
  throw NotShippable(std::string(call) + ": the callable lives in " + module_name(address.module) +
                     ", which the other process has not loaded; load it before the fork server "
                     "starts, or use StartMethod::Fork");
}

void require_modules(const Writer& message, const LoadedSet& of_receiver) {
  for (const std::uint32_t module : message.modules()) {
    require_module({module, 0}, of_receiver, message.call());
  }
}

}  // namespace procession::detail
