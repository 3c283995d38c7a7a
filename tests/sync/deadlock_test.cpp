// Cycles of waits end in one of the waiters.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "procession/process.hpp"
#include "procession/rlock.hpp"
#include "procession/value.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr test_support::ChildStatus success{0, 0};

// What Lock, RLock and RWLock have in common, by name: so that parties can differ in type.
struct AnyLock {
  template <class L>
  AnyLock(L lock)  // NOLINT(google-explicit-constructor)
      : take([lock] { lock.lock(); }), give([lock] { lock.unlock(); }) {}
  std::function<void()> take, give;
};

struct Verdict {
  int party;
  std::size_t edges;
  pid_t first, first_holder;
  long long seconds;
  char text[600];
};

// Party i holds lock i and asks for lock i + 1. Returns what the victims said: one, and everybody
// else gets what it wants once the victim has let go.
std::vector<Verdict> run_cycle(Kind kind, const std::vector<AnyLock>& locks) {
  const std::size_t n = locks.size();
  Pipe news;
  const Value<int> ready(0);
  const Event go;
  run_all(kind, n, [&](std::size_t i) {
    locks[i].take();
    if (ready.fetch_add(1) + 1 == static_cast<int>(n)) go.set();
    go.wait();
    const auto start = steady_clock::now();
    try {
      locks[(i + 1) % n].take();
      locks[(i + 1) % n].give();
    } catch (const DeadlockError& error) {
      Verdict verdict{};
      verdict.party = static_cast<int>(i);
      verdict.edges = error.cycle().size();
      verdict.first = error.cycle()[0].pid;
      verdict.first_holder = error.cycle()[0].held_by;
      verdict.seconds = (steady_clock::now() - start) / 1s;
      std::string(error.what()).copy(verdict.text, sizeof verdict.text - 1);
      EXPECT_EQ(verdict.first, ::getpid());
      news.send(verdict);
    }
    locks[i].give();
  });
  std::vector<Verdict> verdicts;
  news.send(Verdict{-1, 0, 0, 0, 0, {}});  // behind all that they have said
  for (;;) {
    verdicts.push_back(*news.receive<Verdict>());
    if (verdicts.back().party >= 0) continue;
    verdicts.pop_back();
    return verdicts;
  }
}

class DeadlockTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Between, DeadlockTest, testing::Values(Kind::Threads, Kind::Processes),
                         [](const auto& test) {
                           return test.param == Kind::Threads ? "Threads" : "Processes";
                         });

void expect_one_victim(const std::vector<Verdict>& verdicts, std::size_t parties) {
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].edges, parties);
  EXPECT_LT(verdicts[0].seconds, 1);
  for (std::size_t i = 0; i < parties; ++i) {
    const std::string name = "'lock " + std::to_string(i) + "'";
    EXPECT_NE(std::string(verdicts[0].text).find(name), std::string::npos) << verdicts[0].text;
  }
}

Name numbered(int n) { return Name{"lock " + std::to_string(n)}; }

TEST_P(DeadlockTest, OfTwo) {
  for (int round = 0; round < 20; ++round) {
    expect_one_victim(run_cycle(GetParam(), {Lock(numbered(0)), Lock(numbered(1))}), 2);
  }
}

TEST_P(DeadlockTest, OfThree) {
  for (int round = 0; round < 20; ++round) {
    expect_one_victim(
        run_cycle(GetParam(), {Lock(numbered(0)), Lock(numbered(1)), Lock(numbered(2))}), 3);
  }
}

TEST_P(DeadlockTest, OfManyLockTypes) {
  for (int round = 0; round < 10; ++round) {
    expect_one_victim(
        run_cycle(GetParam(), {Lock(numbered(0)), RLock(numbered(1)), RLock(numbered(2))}), 3);
  }
}

TEST(DeadlockTest, TheErrorNamesEverybodyTheVictimFirst) {
  const Lock mine(Name{"mine"}), yours(Name{"yours"});
  mine.acquire();
  Child child = start_child([&] {
    yours.acquire();
    mine.acquire();
    mine.release();
    yours.release();
  });
  await_futex_sleep(child);
  try {
    yours.acquire();
    FAIL();
  } catch (const DeadlockError& error) {
    ASSERT_EQ(error.cycle().size(), 2u);
    const WaitEdge &first = error.cycle()[0], &second = error.cycle()[1];
    EXPECT_EQ(first.pid, ::getpid());
    EXPECT_EQ(first.process_name, "MainProcess");
    EXPECT_EQ(first.waits_for, "yours");
    EXPECT_EQ(first.held_by, child.pid());
    EXPECT_EQ(first.holder_name, "forked");
    EXPECT_EQ(second.pid, child.pid());
    EXPECT_EQ(second.process_name, "forked");
    EXPECT_EQ(second.waits_for, "mine");
    EXPECT_EQ(second.held_by, ::getpid());
    EXPECT_EQ(second.holder_name, "MainProcess");
    EXPECT_GT(second.waiting, 0ns);
    EXPECT_LT(first.waiting, 1s);
    const std::string text = error.what();
    for (const std::string& part :
         {std::string("'mine'"), std::string("'yours'"), std::string("'MainProcess'"),
          std::string("'forked'"), std::to_string(child.pid()), std::to_string(::getpid())}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    }
  }
  // Nothing was acquired, and the same question has the same answer.
  EXPECT_THROW(yours.acquire(), DeadlockError);
  EXPECT_THROW(yours.recover(), DeadlockError);
  EXPECT_FALSE(yours.try_acquire());
  EXPECT_FALSE(yours.acquire(5ms));
  mine.release();
  EXPECT_EQ(child.wait(), success);
  EXPECT_TRUE(yours.try_acquire());
  yours.release();
}

// Its waits end by themselves, so it is no part of a cycle, nor is anybody its victim.
TEST(DeadlockTest, ATimedWaiterIsInNoCycle) {
  const Lock first, second;
  first.acquire();
  Child child = start_child([&] {
    second.acquire();
    EXPECT_FALSE(first.acquire(300ms));
    second.release();
  });
  await_futex_sleep(child);
  EXPECT_TRUE(second.acquire());
  EXPECT_EQ(child.wait(), success);
  second.release();
  first.release();
}

TEST(DeadlockTest, RecoverTakesPart) {
  const Lock first(Name{"first"}), second(Name{"second"});
  first.acquire();
  Child child = start_child([&] {
    second.acquire();
    EXPECT_FALSE(first.recover());
    first.release();
    second.release();
  });
  await_futex_sleep(child);
  EXPECT_THROW(second.recover(), DeadlockError);
  first.release();
  EXPECT_EQ(child.wait(), success);
}

// A chain that ends in somebody who runs, or in a cycle of others, is none.
TEST(DeadlockTest, AChainIsNone) {
  const Lock a, b, c;
  a.acquire();
  Child second = start_child([&] {
    b.acquire();
    a.acquire();
    a.release();
    b.release();
  });
  await_futex_sleep(second);
  Child third = start_child([&] {
    c.acquire();
    b.acquire();
    b.release();
    c.release();
  });
  await_futex_sleep(third);
  a.release();
  EXPECT_EQ(second.wait(), success);
  EXPECT_EQ(third.wait(), success);
}

TEST(DeadlockTest, ADeadWaiterIsInNoCycle) {
  const Lock mine, theirs;
  mine.acquire();
  Child child = start_child([&] {
    theirs.acquire();
    mine.acquire();
  });
  await_futex_sleep(child);
  child.kill();
  child.wait();
  EXPECT_THROW(theirs.acquire(), OwnerDied);
  EXPECT_TRUE(theirs.recover());
  theirs.release();
  mine.release();
}

TEST(DeadlockTest, AStoppedWaiterIsInTheCycle) {
  const Lock mine, theirs;
  mine.acquire();
  Child child = start_child([&] {
    theirs.acquire();
    mine.acquire();
    mine.release();
    theirs.release();
  });
  await_futex_sleep(child);
  child.kill(SIGSTOP);
  EXPECT_THROW(theirs.acquire(), DeadlockError);
  child.kill(SIGCONT);
  mine.release();
  EXPECT_EQ(child.wait(), success);
}

// The victim lets go of what it has, and all go on: the textbook's way out.
TEST_P(DeadlockTest, AVictimThatLetsGoAndTriesAgainGetsThere) {
  const std::array<Lock, 3> locks;
  const Value<long> done(0), victims(0);
  run_all(GetParam(), 3, [&](std::size_t n) {
    for (int i = 0; i < 300;) {
      const Lock &first = locks[n], &second = locks[(n + 1) % 3];
      const std::scoped_lock outer(first);
      try {
        const std::scoped_lock inner(second);
        ++i;
        done.fetch_add(1);
      } catch (const DeadlockError&) {
        victims.fetch_add(1);
      }
    }
  });
  EXPECT_EQ(done.load(), 900);
}

// Locks always in the same order: whatever is seen on the way, there is no deadlock.
TEST_P(DeadlockTest, NoFalseAlarmWhereEverybodyKeepsTheOrder) {
  const std::array<RLock, 4> locks;
  const auto end = steady_clock::now() + 2s;
  const Value<long> rounds(0);
  run_all(GetParam(), 6, [&](std::size_t n) {
    std::size_t i = n;
    while (steady_clock::now() < end) {
      const std::size_t low = i % 3, high = low + 1 + (i / 3) % (3 - low);
      ++i;
      const std::scoped_lock outer(locks[low]);
      if (i % 8 == 0) sched_yield();
      const std::scoped_lock inner(locks[high]);
      rounds.fetch_add(1);
    }
  });
  EXPECT_GT(rounds.load(), 100);
}

// Processes that share nothing but the family: the fork server makes them.
TEST(DeadlockTest, ProcessesOfTheForkServer) {
  const Lock a(Name{"a"}), b(Name{"b"});
  const Value<int> ready(0), victims(0);
  const Event go;
  const auto party = [=](bool swapped) {
    const Lock &first = swapped ? b : a, &second = swapped ? a : b;
    first.acquire();
    if (ready.fetch_add(1) == 1) go.set();
    go.wait();
    try {
      second.acquire();
      second.release();
    } catch (const DeadlockError& error) {
      const std::string text = error.what();
      if (text.find("'left'") == std::string::npos) throw;
      if (text.find("'right'") == std::string::npos) throw;
      victims.fetch_add(1);
    }
    first.release();
  };
  ProcessOptions left, right;
  left.name = "left";
  right.name = "right";
  Process one(left, party, false), two(right, party, true);
  one.start();
  two.start();
  EXPECT_TRUE(one.join(20s));
  EXPECT_TRUE(two.join(20s));
  EXPECT_EQ(one.exitcode(), 0);
  EXPECT_EQ(two.exitcode(), 0);
  EXPECT_EQ(victims.load(), 1);
}

// Its own waits are seen again when the handler has returned.
TEST(DeadlockTest, ASignalHandlerThatTakesALockSpoilsNoWait) {
  if (test_support::under_tsan) GTEST_SKIP() << "it holds signals back until a wait is over";
  static const Lock* of_handler = nullptr;
  static const Event* handled = nullptr;
  const Lock mine(Name{"mine"}), theirs(Name{"theirs"}), third;
  const Event ran;
  of_handler = &third;
  handled = &ran;
  mine.acquire();
  third.acquire();
  Child child = start_child([&] {
    struct sigaction action {};
    action.sa_handler = [](int) {
      of_handler->acquire();
      of_handler->release();
      handled->set();
    };
    ::sigaction(SIGUSR1, &action, nullptr);
    theirs.acquire();
    mine.acquire();
    mine.release();
    theirs.release();
  });
  await_futex_sleep(child);
  child.kill(SIGUSR1);
  std::this_thread::yield();
  third.release();
  EXPECT_TRUE(ran.wait(20s));
  EXPECT_THROW(theirs.acquire(), DeadlockError);
  mine.release();
  EXPECT_EQ(child.wait(), success);
}

TEST(DeadlockTest, TheLockOfAValueTakesPart) {
  const Value<int> value(0, Name{"value"});
  const Lock lock(Name{"lock"});
  lock.acquire();
  Child child = start_child([&] {
    value.with_lock([&](int&) {
      lock.acquire();
      lock.release();
    });
  });
  await_futex_sleep(child);
  EXPECT_THROW(value.with_lock([](int&) {}), DeadlockError);
  lock.release();
  EXPECT_EQ(child.wait(), success);
}

}  // namespace
}  // namespace procession
