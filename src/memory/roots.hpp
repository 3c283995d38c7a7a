// The words of the family memory from which the structures of the upper layers are found.
#pragma once

#include <atomic>
#include <cstdint>

namespace procession::detail {

enum class FamilyRoot : std::uint8_t { Modules, Threads, Names, Count_ };

// REQUIRES: ensure_family(). A block handed over to a root lives as long as the family.
std::atomic<void*>& family_root(FamilyRoot root) noexcept;

}  // namespace procession::detail
