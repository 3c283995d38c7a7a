// No deadlock is reported where there is none, however closely what is seen resembles one.
//
// PROCESSION_SOAK_SECONDS=N: how long it runs.
#include <sched.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "procession/process.hpp"
#include "procession/rlock.hpp"
#include "procession/rw_lock.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int processes = 4, threads = 2;

std::chrono::seconds length() {
  if (const char* set = std::getenv("PROCESSION_SOAK_SECONDS")) {
    return std::chrono::seconds(std::atoi(set));
  }
  return test_support::under_asan || test_support::under_tsan ? 5s : 15s;
}

// A lock of any type, and what it guards.
struct Place {
  std::variant<Lock, RLock, RWLock> lock;
  Value<long> guarded{0};
  Value<long> changes{0};

  bool has_readers() const { return std::holds_alternative<RWLock>(lock); }
  bool recursive() const { return std::holds_alternative<RLock>(lock); }
  void take() const {
    std::visit([](const auto& at) { at.lock(); }, lock);
  }
  bool take(std::chrono::microseconds limit) const {
    return std::visit([limit](const auto& at) { return at.try_lock_for(limit); }, lock);
  }
  void give() const {
    std::visit([](const auto& at) { at.unlock(); }, lock);
  }
  // Loses counts when another is inside meanwhile. REQUIRES: the caller holds the lock.
  void change() const {
    const long seen = guarded.value();
    if (seen % 16 == 0) ::sched_yield();
    guarded.value() = seen + 1;
    changes.fetch_add(1);
  }
};

template <std::size_t... I>
std::array<Place, sizeof...(I)> places(const std::string& name, std::index_sequence<I...>) {
  const auto one = [&](std::size_t i) {
    const Name own{name + std::to_string(i)};
    if (i % 3 == 0) return Place{Lock(own)};
    if (i % 3 == 1) return Place{RLock(own)};
    return Place{RWLock(own)};
  };
  return {one(I)...};
}

// What everybody fights for. `line`: whoever waits for one without a limit holds none with a
// higher number. `ring`: taken by who has the gate, and nobody waits who holds one and has not.
// Whoever is in the line may go on to the gate, but not back.
struct Field {
  static constexpr std::size_t size = 6;
  std::array<Place, size> line = places("line ", std::make_index_sequence<size>());
  std::array<Place, size> ring = places("ring ", std::make_index_sequence<size>());
  Lock gate{Name{"gate"}};
  Value<long> alarms{0}, in_line{0}, against{0}, in_time{0}, rounds{0};
};

class Visitor {
 public:
  Visitor(const Field& field, unsigned seed) : field_(field), random_(seed) {}

  void run_until(steady_clock::time_point end) {
    while (steady_clock::now() < end) {
      try {
        switch (below(4)) {
          case 0:
            go_against_the_line();
            break;
          case 1:
            go_round_the_ring();
            break;
          default:
            go_along_the_line();
        }
      } catch (const DeadlockError& error) {
        field_.alarms.fetch_add(1);
        std::fprintf(stderr, "false alarm: %s\n", error.what());
      }
      while (!held_.empty()) give_last();
    }
  }

 private:
  struct Held {
    const Place* place;
    bool shared;
  };

  std::size_t below(std::size_t n) { return random_() % n; }

  void take(const Place& place) {
    place.take();
    held_.push_back({&place, false});
  }
  void take_share(const Place& place) {
    std::get<RWLock>(place.lock).lock_shared();
    held_.push_back({&place, true});
  }
  void give(const Held& held) {
    if (held.shared) return std::get<RWLock>(held.place->lock).unlock_shared();
    held.place->give();
  }
  void give_last() {
    give(held_.back());
    held_.pop_back();
  }
  void change_what_is_held() {
    for (const Held& held : held_) {
      if (!held.shared) held.place->change();
    }
  }

  void go_along_the_line() {
    for (std::size_t at = below(3); at < Field::size; at += 1 + below(3)) {
      const Place& place = field_.line[at];
      if (place.has_readers() && below(2) == 0) {
        take_share(place);
        if (below(4) == 0) take_share(place);
      } else {
        take(place);
        if (place.recursive() && below(4) == 0) take(place);
      }
    }
    change_what_is_held();
    field_.in_line.fetch_add(1);
    if (below(4) == 0) go_round_the_ring();
  }

  // Waits with a limit end by themselves.
  void go_against_the_line() {
    std::size_t at = Field::size - 1 - below(2);
    take(field_.line[at]);
    while (at > 0) {
      const Place& place = field_.line[--at];
      field_.against.fetch_add(1);
      if (!place.take(std::chrono::microseconds(below(300)))) return;
      held_.push_back({&place, false});
      field_.in_time.fetch_add(1);
    }
    change_what_is_held();
  }

  // Hand over hand, from anywhere to anywhere: the orders of two visitors contradict each other,
  // but only who has the gate waits for another, and who is waited for waits for nobody.
  void go_round_the_ring() {
    const std::size_t before = held_.size();
    field_.gate.acquire();
    try {
      std::size_t at = below(Field::size);
      take(field_.ring[at]);
      for (std::size_t steps = 1 + below(Field::size); steps > 0; --steps) {
        at = (at + 1) % Field::size;
        take(field_.ring[at]);
        give(held_[held_.size() - 2]);
        held_.erase(held_.end() - 2);
      }
    } catch (...) {
      field_.gate.release();
      throw;
    }
    field_.gate.release();
    for (std::size_t i = before; i < held_.size(); ++i) held_[i].place->change();
    field_.rounds.fetch_add(1);
  }

  const Field& field_;
  std::minstd_rand random_;
  std::vector<Held> held_;
};

TEST(NoFalseAlarm, WhereOrdersLookLikeCyclesAndAreNone) {
  const Field field;
  const auto end = steady_clock::now() + length();
  std::vector<Process> all;
  for (int i = 0; i < processes; ++i) {
    ProcessOptions options;
    options.start_method = i % 2 == 0 ? StartMethod::ForkServer : StartMethod::Fork;
    all.emplace_back(
        options,
        [end](const Field& here, int number) {
          std::vector<std::jthread> visitors;
          for (int j = 0; j < threads; ++j) {
            const auto seed = static_cast<unsigned>(1 + number * threads + j);
            visitors.emplace_back([&here, end, seed] { Visitor(here, seed).run_until(end); });
          }
        },
        field, i);
    all.back().start();
  }
  for (Process& process : all) {
    const bool ended = process.join(length() + 60s);
    EXPECT_TRUE(ended) << "somebody waits for ever";
    if (!ended) process.kill();
    process.join();
    EXPECT_EQ(process.exitcode(), 0);
  }
  EXPECT_EQ(field.alarms.load(), 0);
  for (const auto* places : {&field.line, &field.ring}) {
    for (const Place& place : *places) {
      EXPECT_EQ(place.guarded.load(), place.changes.load());
      EXPECT_GT(place.changes.load(), 0);
    }
  }
  std::printf("%ld along the line, %ld of %ld against it in time, %ld round the ring\n",
              field.in_line.load(), field.in_time.load(), field.against.load(),
              field.rounds.load());
}

}  // namespace
}  // namespace procession
