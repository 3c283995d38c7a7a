// Finds a cycle through one node in "X waits for Y and Z".
//
// A waiter needs all of those it waits for (a writer: every reader), so each path that leads back
// is a deadlock. Knows nothing of locks.
//
// Example:
//   find_cycle(me, [&](WaitNode x, std::vector<WaitNode>& out) { out.push_back(owner_of(x)); });
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace procession::detail {

using WaitNode = std::uint64_t;

// Appends those for whom `waiter` waits. May answer differently each time it is asked; it is asked
// once for each node.
using WaitsFor = std::function<void(WaitNode waiter, std::vector<WaitNode>& out)>;

// A shortest cycle from `start` back to it, `start` first, each waiting for the next and the last
// for `start`; empty if there is none. Cycles that do not lead through `start` are nobody's here.
// Looks at `most` nodes. Thread-safe if `waits_for` is. Never blocks.
std::vector<WaitNode> find_cycle(WaitNode start, const WaitsFor& waits_for,
                                 std::size_t most = std::size_t{1} << 20);

}  // namespace procession::detail
