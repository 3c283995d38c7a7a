// The actions of barriers, as the process knows them that made the barrier, and those forked from
// it: as they were given, with all that they refer to.
#pragma once

#include <cstdint>
#include <functional>

#include "procession/detail/barrier_core.hpp"

namespace procession::detail {

// Never the same twice in a family.
[[nodiscard]] std::uint64_t new_barrier_id();
// Keeps the action as long as the barrier lives, or a little longer.
void keep_local_action(const BarrierShared& shared, std::function<void()> action);
// The local one, or the one that travels. Throws what the action throws, and NotShippable.
void run_action(const BarrierShared& shared);

}  // namespace procession::detail
