#include "sync/cycle_search.hpp"

#include <algorithm>
#include <unordered_set>

namespace procession::detail {
namespace {

struct Reached {
  WaitNode node;
  std::size_t from;  // index of who waits for it
};

std::vector<WaitNode> path_to(const std::vector<Reached>& reached, std::size_t last) {
  std::vector<WaitNode> path;
  for (std::size_t i = last; i != 0; i = reached[i].from) path.push_back(reached[i].node);
  path.push_back(reached[0].node);
  std::ranges::reverse(path);
  return path;
}

}  // namespace

// Breadth first, so that the cycle that is told is a short one.
std::vector<WaitNode> find_cycle(WaitNode start, const WaitsFor& waits_for, std::size_t most) {
  std::vector<Reached> reached{{start, 0}};
  std::unordered_set<WaitNode> seen{start};
  std::vector<WaitNode> next;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    next.clear();
    waits_for(reached[i].node, next);
    for (const WaitNode node : next) {
      if (node == start) return path_to(reached, i);
      if (reached.size() < most && seen.insert(node).second) reached.push_back({node, i});
    }
  }
  return {};
}

}  // namespace procession::detail
