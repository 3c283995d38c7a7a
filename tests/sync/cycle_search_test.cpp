#include "sync/cycle_search.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <vector>

namespace procession::detail {
namespace {

using Graph = std::map<WaitNode, std::vector<WaitNode>>;
using Cycle = std::vector<WaitNode>;

Cycle search(const Graph& graph, WaitNode start, std::size_t most = 100'000) {
  return find_cycle(
      start,
      [&](WaitNode node, std::vector<WaitNode>& out) {
        if (const auto at = graph.find(node); at != graph.end()) {
          out.insert(out.end(), at->second.begin(), at->second.end());
        }
      },
      most);
}

TEST(CycleSearchTest, NoCycle) {
  EXPECT_TRUE(search({}, 1).empty());
  EXPECT_TRUE(search({{1, {2}}, {2, {3}}}, 1).empty());
}

TEST(CycleSearchTest, Oneself) { EXPECT_EQ(search({{1, {1}}}, 1), (Cycle{1})); }

TEST(CycleSearchTest, TwoAndThree) {
  EXPECT_EQ(search({{1, {2}}, {2, {1}}}, 1), (Cycle{1, 2}));
  EXPECT_EQ(search({{1, {2}}, {2, {3}}, {3, {1}}}, 3), (Cycle{3, 1, 2}));
}

TEST(CycleSearchTest, ADiamondIsNone) {
  EXPECT_TRUE(search({{1, {2, 3}}, {2, {4}}, {3, {4}}}, 1).empty());
}

// A writer waits for all its readers: one that waits for it is enough.
TEST(CycleSearchTest, AnyOfTheHoldersCanCloseIt) {
  EXPECT_EQ(search({{1, {2, 3, 4}}, {3, {5}}, {5, {1}}}, 1), (Cycle{1, 3, 5}));
}

TEST(CycleSearchTest, TheShortestIsFound) {
  EXPECT_EQ(search({{1, {2, 5}}, {2, {3}}, {3, {1}}, {5, {1}}}, 1), (Cycle{1, 5}));
}

TEST(CycleSearchTest, ALongChain) {
  Graph graph;
  for (WaitNode i = 1; i < 1000; ++i) graph[i] = {i + 1};
  EXPECT_TRUE(search(graph, 1).empty());
  graph[1000] = {1};
  const Cycle cycle = search(graph, 500);
  ASSERT_EQ(cycle.size(), 1000u);
  EXPECT_EQ(cycle.front(), 500u);
  EXPECT_EQ(cycle.back(), 499u);
}

TEST(CycleSearchTest, ACycleOfOthersIsNotMine) {
  EXPECT_TRUE(search({{1, {2}}, {2, {3}}, {3, {2}}}, 1).empty());
  EXPECT_TRUE(search({{1, {2}}, {2, {2}}}, 1).empty());
}

TEST(CycleSearchTest, EachNodeIsAskedOnceAndNoMoreThanAllowed) {
  Graph complete;
  for (WaitNode i = 0; i < 50; ++i) {
    for (WaitNode j = 0; j < 50; ++j) {
      if (j != 7) complete[i].push_back(j);
    }
  }
  std::map<WaitNode, int> asked;
  EXPECT_TRUE(find_cycle(7, [&](WaitNode node, std::vector<WaitNode>& out) {
                ++asked[node];
                out = complete[node];
              }).empty());
  EXPECT_EQ(asked.size(), 50u);
  for (const auto& [node, times] : asked) EXPECT_EQ(times, 1) << node;
  EXPECT_TRUE(search({{1, {2}}, {2, {3}}, {3, {1}}}, 1, 2).empty());
}

}  // namespace
}  // namespace procession::detail
