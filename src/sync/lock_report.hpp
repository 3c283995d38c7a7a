// What the callers of locks are told. Every function reads the owner out of a lock word.
#pragma once

#include <cstdint>

#include "procession/detail/memory.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

[[noreturn]] void throw_owner_died(std::uint64_t word, const Object& named);
[[noreturn]] void throw_self_deadlock(const CallingThread& me, const Object& named);
// For a release; the word is 0 or poisoned.
[[noreturn]] void throw_not_held(std::uint64_t word, const Object& named);
// For a release by a thread that is not the owner.
[[noreturn]] void throw_not_yours(std::uint64_t word, const Object& named);
// For an unlock_shared.
[[noreturn]] void throw_no_share(const Object& named);
[[noreturn]] void throw_too_deep(const Object& named);
// The warning of OnOwnerDeath::Release.
void log_passed_on(std::uint64_t word, const Object& named);

}  // namespace procession::detail
