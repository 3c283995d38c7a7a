// What the dynamic loader of this process has loaded, and where.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ship/module_table.hpp"

namespace procession::detail {

// One module. begin and end span all its segments, data included.
struct LocalModule {
  std::uintptr_t begin;
  std::uintptr_t end;
  std::uintptr_t base;  // what offsets count from
  std::string path;     // empty: the program
  ModuleEntry entry;
};

// What the loader has counted; two equal snapshots have the same modules.
struct LoaderCounts {
  unsigned long long added = 0;
  unsigned long long removed = 0;
  bool operator==(const LoaderCounts&) const = default;
};

struct LoaderSnapshot {
  LoaderCounts counts;
  std::vector<LocalModule> modules;
};

// Both ask the loader, under its lock. Any thread.
[[nodiscard]] LoaderSnapshot list_local_modules();
[[nodiscard]] LoaderCounts count_local_modules() noexcept;

// From now on the loader does not unload the module. False: it is no longer there.
[[nodiscard]] bool pin_module(const std::string& path) noexcept;

}  // namespace procession::detail
