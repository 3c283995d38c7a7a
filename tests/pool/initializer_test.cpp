// The initializer: once in each worker, and its failure is told.

#include <signal.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/remote.hpp"

namespace procession::pool_test {
namespace {

int prepared = 0;

void prepare(int value, Value<int> runs) {
  prepared += value;
  runs.fetch_add(1);
}
int prepared_value(int) { return prepared; }

TEST(PoolInitializer, RunsOnceInEachWorkerBeforeItsFirstCall) {
  Value<int> runs(0);
  Pool pool({.processes = 3}, prepare, 7, runs);
  EXPECT_EQ(pool.map(prepared_value, std::vector<int>(200), 1), std::vector<int>(200, 7));
  EXPECT_LE(runs.load(), 3);
  EXPECT_GE(runs.load(), 1);
  EXPECT_EQ(prepared, 0);
}

TEST(PoolInitializer, TakesStringsAndClosures) {
  static std::string text;
  Event began;
  Pool pool(
      {.processes = 1},
      [began](std::string given) {
        text = given;
        began.set();
      },
      "hello");
  EXPECT_EQ(pool.apply([] { return text; }), "hello");
  EXPECT_TRUE(began.is_set());
}

TEST(PoolInitializer, RunsInReplacementsToo) {
  Value<int> runs(0);
  Pool pool({.processes = 1}, prepare, 3, runs);
  EXPECT_EQ(pool.apply(prepared_value, 0), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(pool.apply(die, SIGKILL), WorkerDied);
    EXPECT_EQ(pool.apply(prepared_value, 0), 3);
  }
  EXPECT_EQ(runs.load(), 4);
}

TEST(PoolInitializer, ThatThrowsIsReportedByTheFirstCallAndNotRunForEver) {
  Value<int> runs(0);
  Pool pool({.processes = 2}, [runs] {
    runs.fetch_add(1);
    throw std::domain_error("no licence");
  });
  thrown<std::domain_error>([&] { pool.apply_async(square, 3).get(patience); }, {"no licence"});
  try {
    pool.map_async(square, {1, 2, 3}).get(patience);
    ADD_FAILURE() << "a call was run";
  } catch (const TimeoutError&) {
    ADD_FAILURE() << "a call hangs";
  } catch (const std::exception&) {
  }
  // Other pools come and go meanwhile; nothing of this one is started again. (The second worker
  // may have begun only now.)
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Pool(1).apply(square, i), i * i);
  EXPECT_LE(runs.load(), 2);
}

TEST(PoolInitializer, ThatThrowsSaysWhere) {
  Pool pool({.processes = 1}, [] { throw std::out_of_range("no"); });
  try {
    pool.apply_async(square, 3).get(patience);
    ADD_FAILURE();
  } catch (const RemoteInfo& info) {
    EXPECT_NE(info.pid(), own_pid());
    EXPECT_THAT(info.type_name(), ::testing::HasSubstr("out_of_range"));
  }
}

TEST(PoolInitializer, ThatThrowsIsReportedByImap) {
  Pool pool({.processes = 2}, [] { throw std::out_of_range("no"); });
  EXPECT_THROW(pool.imap(square, {1, 2, 3}).next(patience), std::out_of_range);
}

TEST(PoolInitializer, ThatDiesHangsNobody) {
  for (const int way : {0, 1}) {
    Value<int> runs(0);
    Pool pool({.processes = 2}, [way, runs] {
      runs.fetch_add(1);
      if (way == 0) ::_exit(3);
      ::raise(SIGKILL);
    });
    const auto death = thrown<WorkerDied>([&] { pool.apply_async(square, 3).get(patience); });
    ASSERT_TRUE(death);
    EXPECT_EQ(death->exitcode(), way == 0 ? 3 : -SIGKILL);
    EXPECT_LT(runs.load(), 20);
  }
}

TEST(PoolInitializer, ThatThrowsInAReplacementIsReportedToo) {
  Value<int> runs(0);
  Pool pool({.processes = 1}, [runs] {
    if (runs.fetch_add(1) > 0) throw std::domain_error("only once");
  });
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_THROW(pool.apply(die, SIGKILL), WorkerDied);
  thrown<std::domain_error>([&] { pool.apply_async(square, 3).get(patience); }, {"only once"});
}

TEST(PoolInitializer, ThatDoesNotEndDoesNotKeepThePoolFromEnding) {
  Event began, never;
  const auto spent = time_of([&] {
    Pool pool({.processes = 2}, [began, never] {
      began.set();
      never.wait();
    });
    auto later = pool.apply_async(square, 3);
    began.wait();
    EXPECT_THROW(later.get(20ms), TimeoutError);
  });
  EXPECT_LT(spent, promptly);
}

TEST(PoolInitializer, ThatCannotTravelIsRefusedAtTheConstructor) {
  int local = 0;
  EXPECT_THROW(Pool({.processes = 1}, [&local] { ++local; }), NotShippable);
  EXPECT_EQ(Pool(1).apply(square, 2), 4);
}

}  // namespace
}  // namespace procession::pool_test
