// What a task throws: its own type in the caller, with where it came from; at the cost of its own
// element and of nothing else.

#include <cerrno>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/bind_front.hpp"
#include "procession/remote.hpp"

// With a name that a traceback can show.
namespace pool_test_tasks {

[[gnu::noinline]] int throw_from_a_named_function(int x) {
  if (x >= 0) throw std::out_of_range("number " + std::to_string(x));
  return x;
}

}  // namespace pool_test_tasks

namespace procession::pool_test {
namespace {

class PoolExceptions : public ::testing::Test {
 protected:
  Pool pool{2};
};

TEST_F(PoolExceptions, OfTheStandardArriveAsTheirOwnType) {
  const auto range = thrown<std::out_of_range>(
      [&] { pool.apply([] { throw std::out_of_range("beyond the end"); }); });
  ASSERT_TRUE(range);
  EXPECT_STREQ(range->what(), "beyond the end");
  thrown<std::bad_alloc>([&] { pool.apply([] { throw std::bad_alloc(); }); });
  thrown<std::invalid_argument>([&] { pool.apply([] { return std::stoi("no number"); }); });
  const auto system = thrown<std::system_error>([&] {
    pool.apply([] { throw std::system_error(ENOENT, std::generic_category(), "opening"); });
  });
  ASSERT_TRUE(system);
  EXPECT_EQ(system->code(), std::errc::no_such_file_or_directory);
  const auto file = thrown<std::filesystem::filesystem_error>(
      [&] { pool.apply([] { (void)std::filesystem::file_size("/no/such/file"); }); });
  ASSERT_TRUE(file);
  EXPECT_EQ(file->path1(), "/no/such/file");
}

TEST_F(PoolExceptions, OfTheLibraryArriveAsTheirOwnType) {
  thrown<StateError>([&] { pool.apply([] { throw StateError("not now"); }); }, {"not now"});
  thrown<QueueEmpty>([&] { pool.apply([] { throw QueueEmpty("nothing there"); }); });
  const auto death = thrown<WorkerDied>(
      [&] { pool.apply([] { throw WorkerDied(77, -9, DeathReason::Signal, 2); }); });
  ASSERT_TRUE(death);
  EXPECT_EQ(death->pid(), 77);
  EXPECT_EQ(death->attempts(), 2);
}

TEST_F(PoolExceptions, SayWhereTheyComeFrom) {
  const pid_t main_pid = own_pid();
  try {
    pool.apply(pool_test_tasks::throw_from_a_named_function, 5);
    ADD_FAILURE();
  } catch (const RemoteInfo& info) {
    EXPECT_NE(info.pid(), main_pid);
    EXPECT_THAT(worker_pids(pool), ::testing::Contains(info.pid()));
    EXPECT_THAT(info.type_name(), ::testing::HasSubstr("out_of_range"));
    EXPECT_THAT(info.traceback(), ::testing::HasSubstr("throw_from_a_named_function"));
  }
  // The same through map, and both catch clauses see it.
  try {
    pool.map(pool_test_tasks::throw_from_a_named_function, {-1, 6});
    ADD_FAILURE();
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "number 6");
    const auto* info = dynamic_cast<const RemoteInfo*>(&error);
    ASSERT_NE(info, nullptr);
    EXPECT_THAT(info->traceback(), ::testing::HasSubstr("throw_from_a_named_function"));
  }
}

struct ParseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LineError {
  std::string file;
  int line;
};

struct Unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_F(PoolExceptions, RegisteredTypesArriveAsThemselves) {
  register_exception<ParseError>();
  register_exception<LineError>();
  thrown<ParseError>([&] { pool.apply([] { throw ParseError("bad brace"); }); }, {"bad brace"});
  try {
    pool.apply([] { throw LineError{"main.c", 7}; });
    ADD_FAILURE();
  } catch (const LineError& error) {
    EXPECT_EQ(error.file, "main.c");
    EXPECT_EQ(error.line, 7);
  }
}

TEST_F(PoolExceptions, OtherTypesArriveAsRemoteError) {
  const auto error =
      thrown<RemoteError>([&] { pool.apply([] { throw Unregistered("who am I"); }); });
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->what(), "who am I");
  EXPECT_THAT(error->type_name(), ::testing::HasSubstr("Unregistered"));
  const auto number = thrown<RemoteError>([&] { pool.apply([] { throw 42; }); });
  ASSERT_TRUE(number);
  EXPECT_EQ(number->type_name(), "int");
}

TEST_F(PoolExceptions, CanBeFetchedAgainAndAgain) {
  auto later = pool.apply_async([] { throw std::range_error("once"); });
  later.wait();
  EXPECT_TRUE(later.ready());
  EXPECT_FALSE(later.successful());
  auto copy = later;
  for (int i = 0; i < 3; ++i) EXPECT_THROW(later.get(), std::range_error);
  EXPECT_THROW(copy.get(patience), std::range_error);
}

TEST_F(PoolExceptions, CostTheWorkerNothing) {
  Pool one(1);
  const pid_t worker = one.apply(own_pid);
  for (int i = 0; i < 100; ++i) {
    EXPECT_THROW(one.apply([] { throw std::runtime_error("again"); }), std::runtime_error);
  }
  EXPECT_EQ(one.apply(own_pid), worker);
}

TEST_F(PoolExceptions, AreNotRetried) {
  Pool retrying({.processes = 1, .retries = 5});
  Value<int> attempts(0);
  EXPECT_THROW(retrying.apply([attempts] {
    attempts.fetch_add(1);
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(attempts.load(), 1);
}

int odd_only(int x) {
  if (x % 2 == 0) throw std::domain_error("even " + std::to_string(x));
  return x;
}

TEST_F(PoolExceptions, CostTheirOwnElementAndNotTheirChunk) {
  auto results = pool.imap(odd_only, std::vector<int>{1, 2, 3, 4, 5, 6, 7}, 7);
  for (int x = 1; x <= 7; ++x) {
    if (x % 2 == 0) {
      thrown<std::domain_error>([&] { results.next(); }, {"even " + std::to_string(x)});
    } else {
      EXPECT_EQ(results.next(), x);
    }
  }
  EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolExceptions, MapThrowsTheFirstByInputOrder) {
  for (const std::size_t chunk : {1, 2}) {
    Event others_failed;  // item 0 is the last to fail, in another chunk
    thrown<std::runtime_error>(
        [&] {
          pool.map(procession::bind_front(
                       [](Event failed, int x) {
                         if (x == 0) failed.wait();
                         if (x == 1000) failed.set();
                         if (x == 0 || x == 1000)
                           throw std::runtime_error("item " + std::to_string(x));
                         return x;
                       },
                       others_failed),
                   chunk == 1 ? std::vector<int>{0, 1000} : std::vector<int>{0, 1, 1000, 3}, chunk);
        },
        {"item 0"});
  }
}

TEST_F(PoolExceptions, MapDropsWhatHasNotBegun) {
  Value<int> ran(0);
  Pool one(1);
  std::vector<int> items(1000, 1);
  items[3] = 0;
  EXPECT_THROW(one.map(
                   [ran](int x) {
                     ran.fetch_add(1);
                     if (x == 0) throw std::runtime_error("the fourth");
                   },
                   items, 1),
               std::runtime_error);
  EXPECT_LT(ran.load(), 1000);
  // And nothing of it comes later.
  one.apply([] {});
  const int then = ran.load();
  one.apply([] {});
  EXPECT_EQ(ran.load(), then);
}

TEST_F(PoolExceptions, MapWaitsForTheChunksThatRun) {
  Value<int> still_running(0);
  Event slow_began, gate;
  Pool two(2);
  auto later = two.map_async(
      [=](int x) {
        if (x == 0) {
          slow_began.wait();
          throw std::runtime_error("failed");
        }
        still_running.store(1);
        slow_began.set();
        gate.wait();
        still_running.store(0);
      },
      {0, 1}, 1);
  slow_began.wait();
  EXPECT_THROW(later.get(200ms), TimeoutError);
  gate.set();
  EXPECT_THROW(later.get(patience), std::runtime_error);
  EXPECT_EQ(still_running.load(), 0);
}

}  // namespace
}  // namespace procession::pool_test
