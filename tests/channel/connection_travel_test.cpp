// Connections as handles: captured, passed, put in queues, sent, returned; and the processes that
// die meanwhile.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "process/descriptor_keeper.hpp"
#include "procession/connection.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"
#include "procession/queue.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;

std::string method_name(StartMethod method) {
  return method == StartMethod::Fork    ? "Fork"
         : method == StartMethod::Spawn ? "Spawn"
                                        : "ForkServer";
}

class ConnectionTravel : public ::testing::TestWithParam<StartMethod> {
 protected:
  ProcessOptions options() const { return {.start_method = GetParam()}; }
  bool forks() const { return GetParam() == StartMethod::Fork; }
};
INSTANTIATE_TEST_SUITE_P(Methods, ConnectionTravel,
                         ::testing::Values(StartMethod::Fork, StartMethod::ForkServer,
                                           StartMethod::Spawn),
                         [](const auto& test) { return method_name(test.param); });

void add_one(const Connection& connection) { connection.send(connection.recv<int>() + 1); }

TEST_P(ConnectionTravel, CapturedByAProcess) {
  const auto [mine, theirs] = Pipe();
  Process process(options(), [end = theirs] { add_one(end); });
  process.start();
  mine.send(1);
  EXPECT_EQ(mine.recv<int>(), 2);
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST_P(ConnectionTravel, PassedAsAnArgument) {
  const auto [mine, theirs] = Pipe();
  Process process(options(), add_one, theirs);
  process.start();
  mine.send(1);
  EXPECT_EQ(mine.recv<int>(), 2);
  process.join();
}

TEST_P(ConnectionTravel, ThePeerIsToldWhenTheLastProcessClosesIt) {
  const auto [mine, theirs] = Pipe();
  const Event closed, done;
  Process process(options(), [mine = mine, theirs = theirs, closed, done] {
    mine.close();
    theirs.send(std::string("last words"));
    theirs.close();
    closed.set();
    done.wait();
  });
  process.start();
  theirs.close();
  closed.wait();
  EXPECT_EQ(mine.recv<std::string>(), "last words");
  EXPECT_THROW((void)mine.recv<int>(), ConnectionClosed);
  done.set();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST_P(ConnectionTravel, ThePeerIsToldWhenTheLastProcessIsKilled) {
  const auto [mine, theirs] = Pipe();
  Process process(options(), [mine = mine, theirs = theirs] {
    mine.close();
    theirs.send(1);
    pause();
  });
  process.start();
  theirs.close();
  EXPECT_EQ(mine.recv<int>(), 1);
  process.kill();
  EXPECT_THROW((void)mine.recv<int>(), ConnectionClosed);
  EXPECT_THROW(mine.send(1), ConnectionClosed);
  process.join();
}

TEST_P(ConnectionTravel, ThroughAQueueWhoseWriterHasEnded) {
  const Queue<Connection> queue;
  const Queue<std::pair<std::string, Connection>> pairs;
  Process process(options(), [queue, pairs] {
    auto [one, two] = Pipe();
    queue.put(one);
    pairs.put({"second", two});
    one.send(std::string("from one"));
  });
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
  const Connection one = queue.get();
  {
    const auto [name, two] = pairs.get();
    EXPECT_EQ(name, "second");
    EXPECT_EQ(two.recv<std::string>(), "from one");
    two.send(5);
    EXPECT_EQ(one.recv<int>(), 5);
  }
  EXPECT_THROW((void)one.recv<int>(), ConnectionClosed);
}

TEST_P(ConnectionTravel, ThroughAnotherConnection) {
  const auto [mine, theirs] = Pipe();
  Process process(options(), [end = theirs] {
    const auto inner = end.recv<Connection>();
    inner.send(inner.recv<int>() * 2);
    auto [one, two] = Pipe(false);
    end.send(std::vector{one});
    two.send(std::string("made there"));
  });
  process.start();
  {
    const auto [a, b] = Pipe();
    mine.send(b);
    a.send(21);
    EXPECT_EQ(a.recv<int>(), 42);
  }
  const auto ends = mine.recv<std::vector<Connection>>();
  process.join();
  EXPECT_FALSE(ends.front().writable());
  EXPECT_EQ(ends.front().recv<std::string>(), "made there");
  EXPECT_THROW((void)ends.front().recv<std::string>(), ConnectionClosed);
}

TEST_P(ConnectionTravel, ToAndFromACallOfAPool) {
  Pool pool(PoolOptions{.processes = 2, .max_tasks_per_child = 1, .start_method = GetParam()});
  const auto [mine, theirs] = Pipe();
  auto result = pool.apply_async(
      [](const Connection& end) {
        end.send(end.recv<int>() + 1);
        return Pipe().first;
      },
      theirs);
  mine.send(1);
  EXPECT_EQ(mine.recv<int>(), 2);
  const Connection returned = result.get();
  EXPECT_FALSE(returned.closed());
  const auto back = pool.apply([] {
    auto [one, two] = Pipe();
    one.send(std::string("hello"));
    return two;
  });
  EXPECT_EQ(back.recv<std::string>(), "hello");
  EXPECT_THROW((void)back.recv<int>(), ConnectionClosed);
}

TEST_P(ConnectionTravel, EveryProcessOfSeveralHasTheSameEnd) {
  const auto [mine, theirs] = Pipe();
  std::vector<std::unique_ptr<Process>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(std::make_unique<Process>(options(), [theirs = theirs, i] {
      for (int k = 0; k < 20; ++k) theirs.send(std::vector<int>(k % 2 == 0 ? 3 : 30'000, i));
    }));
    all.back()->start();
  }
  theirs.close();
  std::vector<int> counts(3);
  for (int i = 0; i < 60; ++i) {
    const auto got = mine.recv<std::vector<int>>();
    EXPECT_EQ(got.front(), got.back());
    ++counts[static_cast<std::size_t>(got.front())];
  }
  EXPECT_EQ(counts, (std::vector<int>{20, 20, 20}));
  for (auto& each : all) each->join();
  if (!forks()) {
    EXPECT_THROW((void)mine.recv<int>(), ConnectionClosed);
  }
}

TEST(ConnectionCustody, WhatIsOnItsWayKeepsTheConnectionOpen) {
  auto [one, two] = Pipe();
  {
    const Queue<Connection> queue;
    queue.put(two);
    two.close();
    EXPECT_FALSE(one.poll());
    one.send(1);
    EXPECT_FALSE(one.poll());
  }
  EXPECT_TRUE(one.poll(20s));  // the queue is gone, and the connection in it
  EXPECT_THROW(one.send(2), ConnectionClosed);
}

TEST(ConnectionCustody, AClosedConnectionCannotBeSent) {
  const auto [one, two] = Pipe();
  const Queue<Connection> queue;
  one.close();
  EXPECT_THROW(queue.put(one), StateError);
  EXPECT_THROW(two.send(one), StateError);
  EXPECT_TRUE(queue.empty());
}

TEST(ConnectionCustody, ASecondReceiptIsTheSameConnection) {
  const auto [one, two] = Pipe();
  const Queue<Connection> queue;
  queue.put(two);
  const Connection again = queue.get();
  EXPECT_EQ(again.fileno(), two.fileno());
  again.close();
  EXPECT_TRUE(two.closed());
}

TEST(ConnectionCustody, AKilledKeeperLosesWhatItHadAndIsReplaced) {
  auto [one, two] = Pipe();
  auto [three, four] = Pipe();
  {
    const Queue<Connection> warm;
    warm.put(two);
    (void)warm.get();  // the keeper has read what came before
  }
  const Queue<Connection> queue;
  queue.put(two);
  {
    const Queue<Connection> barrier;
    barrier.put(three);
    two.close();
    Process reader([barrier] { (void)barrier.get(); });
    reader.start();
    reader.join();
  }
  const pid_t keeper = detail::keeper_pid();
  ASSERT_NE(keeper, 0);
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  EXPECT_TRUE(one.poll(20s));
  EXPECT_THROW((void)one.recv<int>(), ConnectionClosed);
  Process process([queue, end = four] {
    const Connection lost = queue.get();
    bool told = false;
    try {
      lost.send(1);
    } catch (const ConnectionClosed&) {
      told = true;
    }
    end.send(told);
  });
  process.start();
  EXPECT_TRUE(three.recv<bool>());
  process.join();
  EXPECT_NE(detail::keeper_pid(), keeper);
}

TEST(ConnectionCustody, ManyEndsThatNobodyTakesAreGivenBack) {
  std::vector<Connection> ends;
  {
    const Queue<Connection> queue;
    for (int i = 0; i < 400; ++i) {
      auto [one, two] = Pipe();
      ends.push_back(one);
      queue.put(two);
    }
  }
  for (const Connection& end : ends) EXPECT_TRUE(end.poll(20s));
}

TEST(ConnectionCustody, AStoppedKeeperHoldsUpNobodyWhoDoesNotNeedIt) {
  auto [one, two] = Pipe();
  auto queues = std::make_unique<std::vector<Queue<Connection>>>(1);
  queues->front().put(two);
  const pid_t keeper = detail::keeper_pid();
  ASSERT_EQ(::kill(keeper, SIGSTOP), 0);
  one.send(1);
  EXPECT_EQ(two.recv<int>(), 1);
  queues->front().put(two);
  queues.reset();
  two.close();
  ASSERT_EQ(::kill(keeper, SIGCONT), 0);
  EXPECT_TRUE(one.poll(20s));
}

}  // namespace
}  // namespace procession
