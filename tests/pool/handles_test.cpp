// Handles reach the workers, made before them and after them, captured, passed and returned.

#include <optional>
#include <utility>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/lock.hpp"
#include "procession/memory.hpp"

namespace procession::pool_test {
namespace {

TEST(PoolHandles, MadeBeforeThePoolAreTheSameObjectInTheWorkers) {
  Value<int> sum(0);
  Event done;
  Pool pool(2);
  pool.map([sum](int x) { sum.fetch_add(x); }, {1, 2, 3, 4});
  EXPECT_EQ(sum.load(), 10);
  pool.apply([](Event event) { event.set(); }, done);
  EXPECT_TRUE(done.is_set());
}

TEST(PoolHandles, MadeAfterTheWorkersWorkAsWell) {
  Pool pool(2);
  pool.map(square, {1, 2, 3, 4});
  for (int round = 0; round < 20; ++round) {
    Value<int> sum(round);
    Event event;
    pool.apply([sum, event] {
      sum.fetch_add(100);
      event.set();
    });
    EXPECT_EQ(sum.load(), 100 + round);
    EXPECT_TRUE(event.is_set());
  }
}

TEST(PoolHandles, ALockExcludesTheWorkersFromEachOther) {
  Pool pool(2);
  Lock lock;
  Value<long> count(0);
  auto count_up = [lock, count](int) {
    for (int i = 0; i < 1000; ++i) {
      lock.acquire();
      count.value() += 1;
      lock.release();
    }
  };
  pool.map(count_up, {1, 2, 3, 4}, 1);
  EXPECT_EQ(count.load(), 4000);
}

TEST(PoolHandles, TravelInsideContainers) {
  Pool pool(2);
  std::vector<Value<int>> values;
  for (int i = 0; i < 10; ++i) values.emplace_back(i);
  pool.apply(
      [](std::vector<Value<int>> there) {
        for (const auto& value : there) value.fetch_add(10);
      },
      values);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)].load(), 10 + i);
  pool.map([](Value<int> value) { value.fetch_add(1); }, values);
  EXPECT_EQ(values[9].load(), 20);
}

TEST(PoolHandles, MadeInAWorkerTheyOutliveIt) {
  std::optional<Value<int>> value;
  {
    Pool pool({.processes = 1, .max_tasks_per_child = 1});
    value = pool.apply([] { return Value<int>(41); });
    pool.apply([](Value<int> there) { there.fetch_add(1); }, *value);
  }
  EXPECT_EQ(value->load(), 42);
}

TEST(PoolHandles, AResultThatIsNeverFetchedGivesItsHandlesBack) {
  Value<int> kept(1);
  const auto drop = [kept](int calls) {
    Pool pool(1);
    for (int i = 0; i < calls; ++i) (void)pool.apply_async([] { return Value<int>(1); });
    for (int i = 0; i < calls; ++i) (void)pool.apply_async([](Value<int> x) { return x; }, kept);
    pool.close();
    pool.join();
  };
  drop(50);
  const auto before = memory_stats().blocks;
  drop(500);
  EXPECT_LT(memory_stats().blocks, before + 100);
}

}  // namespace
}  // namespace procession::pool_test
