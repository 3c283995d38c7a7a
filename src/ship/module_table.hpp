// The family's table of modules, as modules.hpp describes it: entries and how they are added.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace procession::detail {

// The build-id, or what stands for it, padded with zeros.
using BuildId = std::array<std::uint8_t, 20>;

struct ModuleEntry {
  BuildId id;
  std::uint32_t reserved;
  std::uint64_t size;  // bytes of address space
  char name[64];       // file name, truncated, always terminated
};

struct ModuleBlock {
  std::atomic<void*> next;
  std::uint32_t first;
  std::uint32_t count;
  // count ModuleEntry follow
  std::span<const ModuleEntry> entries() const noexcept;
  std::span<ModuleEntry> entries() noexcept;
};

// These two never block. REQUIRES: ensure_family().
[[nodiscard]] std::optional<std::uint32_t> find_module(const BuildId& id) noexcept;
[[nodiscard]] const ModuleEntry* module_entry(std::uint32_t number) noexcept;
[[nodiscard]] std::size_t count_modules() noexcept;

// Adds those of `modules` that the table lacks. May wait for another process that adds. Throws
// OutOfMemory. REQUIRES: ensure_family(), no two of `modules` have the same id.
void add_modules(std::span<const ModuleEntry> modules);

}  // namespace procession::detail
