// Short random histories of queues, between threads and between processes: each could have happened
// in some order, one call after the other.
#include "channel/linearizability.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "procession/array.hpp"
#include "procession/errors.hpp"
#include "procession/queue.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using channel_test::is_linearizable;
using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

enum class Kind : int { TryPut, TryGet, Put, Get, Size, Full, Close };
enum class Ending : int { Done, Full, Empty, Closed };

struct Call {
  Kind kind;
  Ending ending;
  long value;  // put, taken, counted
  long begin, end;
};

std::ostream& operator<<(std::ostream& out, const Call& call) {
  constexpr const char* kinds[] = {"try_put", "try_get", "put", "get", "size", "full", "close"};
  constexpr const char* endings[] = {"", " full", " empty", " closed"};
  return out << '[' << call.begin << ',' << call.end << "] " << kinds[static_cast<int>(call.kind)]
             << ' ' << call.value << endings[static_cast<int>(call.ending)] << '\n';
}

// One after the other.
struct Model {
  explicit Model(std::size_t room) : maxsize(room) {}
  std::size_t maxsize;
  std::deque<long> items;
  bool closed = false;

  bool operator<(const Model& other) const {
    return std::tie(items, closed) < std::tie(other.items, other.closed);
  }
  [[nodiscard]] bool full() const { return maxsize != 0 && items.size() >= maxsize; }

  bool apply(const Call& call) {
    switch (call.kind) {
      case Kind::TryPut:
      case Kind::Put:
        if (call.ending == Ending::Closed) return closed;
        if (call.ending == Ending::Full) return !closed && full();
        if (closed || full()) return false;
        items.push_back(call.value);
        return true;
      case Kind::TryGet:
      case Kind::Get:
        if (call.ending == Ending::Closed) return closed && items.empty();
        if (call.ending == Ending::Empty) return !closed && items.empty();
        if (items.empty() || items.front() != call.value) return false;
        items.pop_front();
        return true;
      case Kind::Size:
        return items.size() == static_cast<std::size_t>(call.value);
      case Kind::Full:
        return full() == (call.value != 0);
      case Kind::Close:
        closed = true;
        return true;
    }
    return false;
  }
};

// --- the checker -------------------------------------------------------------------------------

constexpr auto done = Ending::Done;

TEST(LinearizabilityChecker, AcceptsWhatCouldHappen) {
  const Model queue(1);
  EXPECT_TRUE(is_linearizable(std::vector<Call>{}, queue));
  // Overlapping: the get comes second.
  EXPECT_TRUE(
      is_linearizable<Call>({{Kind::TryGet, done, 5, 1, 4}, {Kind::TryPut, done, 5, 2, 3}}, queue));
  // A size between two puts.
  EXPECT_TRUE(is_linearizable<Call>(
      {{Kind::TryPut, done, 1, 1, 9}, {Kind::Size, done, 0, 2, 3}, {Kind::Size, done, 1, 4, 5}},
      queue));
  EXPECT_TRUE(is_linearizable<Call>({{Kind::Close, done, 0, 1, 6},
                                     {Kind::TryPut, done, 1, 2, 3},
                                     {Kind::TryPut, Ending::Closed, 2, 4, 5},
                                     {Kind::TryGet, done, 1, 7, 8},
                                     {Kind::TryGet, Ending::Closed, 0, 9, 10}},
                                    queue));
}

TEST(LinearizabilityChecker, RefusesWhatCouldNot) {
  const Model queue(1), wide(9);
  const auto refuses = [](const Model& model, const std::vector<Call>& history) {
    return !is_linearizable(history, model);
  };
  // Taken before it was put.
  EXPECT_TRUE(refuses(queue, {{Kind::TryGet, done, 5, 1, 2}, {Kind::TryPut, done, 5, 3, 4}}));
  // Taken twice.
  EXPECT_TRUE(refuses(queue, {{Kind::TryPut, done, 5, 1, 2},
                              {Kind::TryGet, done, 5, 3, 6},
                              {Kind::TryGet, done, 5, 4, 5}}));
  // Empty, although one was there all the time.
  EXPECT_TRUE(
      refuses(queue, {{Kind::TryPut, done, 5, 1, 2}, {Kind::TryGet, Ending::Empty, 0, 3, 4}}));
  // In the wrong order.
  EXPECT_TRUE(refuses(wide, {{Kind::TryPut, done, 1, 1, 2},
                             {Kind::TryPut, done, 2, 3, 4},
                             {Kind::TryGet, done, 2, 5, 6},
                             {Kind::TryGet, done, 1, 7, 8}}));
  // More than there is room for.
  EXPECT_TRUE(refuses(queue, {{Kind::TryPut, done, 1, 1, 3}, {Kind::TryPut, done, 2, 2, 4}}));
  // Full, although there was room all the time.
  EXPECT_TRUE(refuses(wide, {{Kind::TryPut, Ending::Full, 1, 1, 2}}));
  // A size that never was.
  EXPECT_TRUE(refuses(wide, {{Kind::TryPut, done, 1, 1, 3},
                             {Kind::TryPut, done, 2, 5, 8},
                             {Kind::Size, done, 2, 2, 7},
                             {Kind::Size, done, 0, 4, 6}}));
  // Put after a close that had ended.
  EXPECT_TRUE(refuses(wide, {{Kind::Close, done, 0, 1, 2}, {Kind::TryPut, done, 1, 3, 4}}));
}

// --- the queues --------------------------------------------------------------------------------

// What those who make histories share.
struct Stage {
  static constexpr int rounds = 250;
  static constexpr int calls = 4;  // of each in a round

  Stage(std::size_t maxsize, int actors)
      : room(maxsize), crew(actors), records(static_cast<std::size_t>(rounds * actors * calls)) {
    for (int i = 0; i < rounds; ++i) queues.emplace_back(maxsize);
  }

  [[nodiscard]] Call& record(int round, int actor, int call) const {
    return records[static_cast<std::size_t>((round * crew + actor) * calls + call)];
  }

  // All begin a round together, as near as can be.
  void meet(int round) const {
    arrived.fetch_add(1);
    while (arrived.load() < static_cast<long>(crew) * (round + 1)) ::sched_yield();
  }

  void act(int actor, unsigned seed) const {
    std::minstd_rand random(seed + static_cast<unsigned>(actor) * 7919);
    for (int round = 0; round < rounds; ++round) {
      const auto& queue = queues[static_cast<std::size_t>(round)];
      meet(round);
      for (int i = 0; i < calls; ++i) {
        Call& call = record(round, actor, i);
        call = choose(random, actor, i);
        call.begin = clock.fetch_add(1);
        carry_out(queue, call);
        call.end = clock.fetch_add(1);
      }
    }
  }

  // Nobody waits for ever: a put or get waits for a moment only.
  static Call choose(std::minstd_rand& random, int actor, int i) {
    const auto pick = random() % 16;
    Kind kind = Kind::Close;
    if (pick < 5) kind = Kind::TryPut;
    if (pick >= 5 && pick < 10) kind = Kind::TryGet;
    if (pick == 10) kind = Kind::Put;
    if (pick == 11) kind = Kind::Get;
    if (pick == 12 || pick == 13) kind = Kind::Size;
    if (pick == 14) kind = Kind::Full;
    if (pick == 15 && random() % 2 == 0) kind = Kind::Size;
    return {kind, Ending::Done, actor * 100 + i, 0, 0};
  }

  static void carry_out(const Queue<long>& queue, Call& call) {
    constexpr auto moment = 20us;
    try {
      switch (call.kind) {
        case Kind::TryPut:
          if (!queue.try_put(call.value)) call.ending = Ending::Full;
          return;
        case Kind::Put:
          if (!queue.put(call.value, moment)) call.ending = Ending::Full;
          return;
        case Kind::TryGet:
          call.value = queue.get_nowait();
          return;
        case Kind::Get:
          call.value = queue.get(moment);
          return;
        case Kind::Size:
          call.value = static_cast<long>(queue.size());
          return;
        case Kind::Full:
          call.value = queue.full() ? 1 : 0;
          return;
        case Kind::Close:
          queue.close();
      }
    } catch (const QueueEmpty&) {
      call.ending = Ending::Empty;
    } catch (const QueueClosed&) {
      call.ending = Ending::Closed;
    }
  }

  // Between two others' calls that had begun, and had not ended.
  static bool overlaps(const std::vector<Call>& history) {
    return std::ranges::any_of(history,
                               [](const Call& call) { return call.end != call.begin + 1; });
  }

  // How many histories had calls at the same time.
  int check() const {
    int overlapping = 0;
    for (int round = 0; round < rounds; ++round) {
      std::vector<Call> history;
      for (int actor = 0; actor < crew; ++actor) {
        for (int i = 0; i < calls; ++i) history.push_back(record(round, actor, i));
      }
      if (overlaps(history)) ++overlapping;
      if (is_linearizable(history, Model(room))) continue;
      std::ranges::sort(history, {}, &Call::begin);
      ADD_FAILURE() << "room for " << room << ", could not happen:\n"
                    << ::testing::PrintToString(history);
      break;
    }
    return overlapping;
  }

  std::size_t room;
  int crew;
  std::vector<Queue<long>> queues;
  Array<Call> records;
  Value<long> clock{0}, arrived{0};
};

class QueueHistories : public ::testing::TestWithParam<std::tuple<std::size_t, int>> {
 protected:
  static constexpr int repeats = 20;
  static unsigned seed() { return static_cast<unsigned>(std::random_device()()); }
};
INSTANTIATE_TEST_SUITE_P(Rooms, QueueHistories,
                         ::testing::Combine(::testing::Values(0U, 1U, 2U), ::testing::Values(2, 3)),
                         [](const auto& test) {
                           return "Room" + std::to_string(std::get<0>(test.param)) + "Crew" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST_P(QueueHistories, OfThreads) {
  const auto [room, crew] = GetParam();
  int overlapping = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const Stage stage(room, crew);
    const unsigned from = seed();
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < crew; ++i)
        threads.emplace_back([&stage, from, i] { stage.act(i, from); });
    }
    overlapping += stage.check();
  }
  EXPECT_GT(overlapping, 0);
  std::printf("%d of %d histories with calls at the same time\n", overlapping,
              repeats * Stage::rounds);
}

TEST_P(QueueHistories, OfProcesses) {
  const auto [room, crew] = GetParam();
  int overlapping = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const Stage stage(room, crew);
    const unsigned from = seed();
    std::vector<Child> children;
    for (int i = 0; i < crew; ++i) {
      children.push_back(start_child([&stage, from, i] { stage.act(i, from); }));
    }
    for (Child& child : children) EXPECT_EQ(child.wait(), (ChildStatus{0, 0}));
    overlapping += stage.check();
  }
  EXPECT_GT(overlapping, 0);
  std::printf("%d of %d histories with calls at the same time\n", overlapping,
              repeats * Stage::rounds);
}

}  // namespace
}  // namespace procession
