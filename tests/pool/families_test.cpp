// Pools in workers, in children, and after a fork.

#include <unistd.h>

#include <numeric>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/process.hpp"
#include "support/child.hpp"

namespace procession::pool_test {
namespace {

int sum_of_squares(int count) {
  Pool pool(2);
  const auto all = pool.map(square, std::views::iota(0, count), 2);
  return std::accumulate(all.begin(), all.end(), 0);
}

int nested(int depth) {
  if (depth == 0) return sum_of_squares(4);
  Pool pool(1);
  return pool.apply(nested, depth - 1) + 1;
}

TEST(PoolFamilies, AWorkerMayHaveAPool) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(sum_of_squares, 4), 14);
  EXPECT_EQ(pool.map(sum_of_squares, {1, 2, 3, 4, 5}, 1), (std::vector<int>{0, 1, 5, 14, 30}));
}

TEST(PoolFamilies, PoolsMayBeNestedDeeper) {
  Pool pool(1);
  EXPECT_EQ(pool.apply(nested, 3), 17);
}

TEST(PoolFamilies, TheEndOfAPoolIsTheEndOfThePoolsInside) {
  Event deep;
  Value<pid_t> inner(0);
  std::optional<Watched> watched;
  {
    Pool pool(1);
    auto later = pool.apply_async(
        [deep, inner](int x) {
          Pool below(1);
          Event never;
          return below.apply(
              [deep, inner, never](int y) {
                inner.store(own_pid());
                deep.set();
                never.wait();
                return y;
              },
              x);
        },
        1);
    deep.wait();
    watched.emplace(inner.load());
  }
  EXPECT_TRUE(watched->ends());
}

TEST(PoolFamilies, AChildMayHaveAPool) {
  for (const auto method : get_all_start_methods()) {
    Value<int> sum(0);
    Process child({.start_method = method}, [sum] { sum.store(sum_of_squares(5)); });
    child.start();
    EXPECT_TRUE(child.join(patience));
    EXPECT_EQ(child.exitcode(), 0);
    EXPECT_EQ(sum.load(), 30);
  }
}

TEST(PoolFamilies, AForkedChildCannotUseItsParentsPool) {
  Pool pool(2);
  pool.map(square, {1, 2, 3});
  auto ready = pool.apply_async(square, 3);
  ready.wait();
  const auto status = test_support::run_child([&] {
    thrown<StateError>([&] { pool.apply(square, 2); });
    thrown<StateError>([&] { (void)pool.apply_async(square, 2); });
    thrown<StateError>([&] { pool.map(square, {1, 2}); });
    thrown<StateError>([&] { pool.imap(square, {1, 2}).next(); });
    thrown<StateError>([&] { pool.close(); });
    thrown<StateError>([&] { pool.terminate(); });
    thrown<StateError>([&] { (void)pool.stats(); });
  });
  EXPECT_EQ(status, (test_support::ChildStatus{0, 0}));
  EXPECT_EQ(pool.map(square, {1, 2, 3}), (std::vector<int>{1, 4, 9}));
}

TEST(PoolFamilies, AForkedChildThatDropsThePoolDoesNotEndIt) {
  Pool pool(2);
  Event running, gate;
  auto later = pool.apply_async(hold, 6, running, gate);
  running.wait();
  const auto pids = worker_pids(pool);
  const auto status = test_support::run_child([&] { Pool mine(std::move(pool)); });
  EXPECT_EQ(status, (test_support::ChildStatus{0, 0}));
  EXPECT_FALSE(later.ready());
  gate.set();
  EXPECT_EQ(later.get(patience), 6);
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_EQ(worker_pids(pool), pids);
}

TEST(PoolFamilies, AForkedProcessCannotUseItsParentsPoolButOneOfItsOwn) {
  Pool pool(2);
  pool.apply(square, 1);
  Process child({.start_method = StartMethod::Fork}, [&pool] {
    thrown<StateError>([&] { pool.apply(square, 2); });
    Pool own(1);
    EXPECT_EQ(own.apply(square, 5), 25);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  });
  child.start();
  EXPECT_TRUE(child.join(patience));
  EXPECT_EQ(child.exitcode(), 0);
  EXPECT_EQ(pool.apply(square, 3), 9);
}

}  // namespace
}  // namespace procession::pool_test
