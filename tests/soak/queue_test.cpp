// Three processes put in, three take out, and again and again one of them is killed and replaced:
// every item comes out whole and once, in the order of its producer; at most the one that a killed
// process had in its hands is lost.
//
// PROCESSION_SOAK_ITEMS=N: how many items there are.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "procession/array.hpp"
#include "procession/memory.hpp"
#include "procession/process.hpp"
#include "procession/queue.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int producers = 3, consumers = 3;

std::uint32_t checksum(std::uint64_t producer, std::uint64_t number) {
  std::uint64_t sum = (producer + 1) * 0x9e3779b97f4a7c15 ^ (number + 1) * 0xbf58476d1ce4e5b9;
  sum ^= sum >> 31;
  return static_cast<std::uint32_t>(sum * 0x94d049bb133111eb >> 40);
}

// Both kinds say who made the item and as which, and whether they are whole.
struct InCell {
  using Item = std::uint64_t;  // number, producer and checksum, 30 + 4 + 24 bits and some zeros
  static Item make(std::uint64_t producer, std::uint64_t number) {
    return number << 34 | producer << 30 | (checksum(producer, number) & 0xff'ffff);
  }
  static std::uint64_t producer(Item item) { return item >> 30 & 0xf; }
  static std::uint64_t number(Item item) { return item >> 34; }
  static bool whole(Item item) { return item == make(producer(item), number(item)); }
};
struct Encoded {
  struct Item {
    std::uint64_t producer, number;
    std::string payload;
    std::vector<std::uint32_t> sums;
  };
  // Mostly small, sometimes some kilobytes.
  static std::size_t length(std::uint64_t producer, std::uint64_t number) {
    const std::uint32_t sum = checksum(producer, number);
    return sum % 64 == 0 ? sum % 9000 : sum % 50;
  }
  static Item make(std::uint64_t producer, std::uint64_t number) {
    return {producer, number,
            std::string(length(producer, number), static_cast<char>(checksum(producer, number))),
            std::vector<std::uint32_t>(number % 5, checksum(producer, number))};
  }
  static std::uint64_t producer(const Item& item) { return item.producer; }
  static std::uint64_t number(const Item& item) { return item.number; }
  static bool whole(const Item& item) {
    const Item expected = make(item.producer, item.number);
    return item.payload == expected.payload && item.sums == expected.sums;
  }
};

// What outlives those who are killed.
struct Ledger {
  std::uint64_t items;                                // of each producer
  std::array<Value<std::uint64_t>, producers> begun;  // numbers below were put, or their maker died
  Array<std::uint8_t> seen;                           // how often each came out
  Value<long> torn, disordered, taken;
};
Ledger ledger_for(std::uint64_t each) {
  using Number = Value<std::uint64_t>;
  return {each,
          {Number(0), Number(0), Number(0)},
          Array<std::uint8_t>(producers * each),
          Value<long>(0),
          Value<long>(0),
          Value<long>(0)};
}

template <class Kind>
void produce(const Queue<typename Kind::Item>& queue, const Ledger& ledger, int which) {
  const auto& begun = ledger.begun[static_cast<std::size_t>(which)];
  for (;;) {
    // Said before it is done: nobody puts the same number in again.
    const std::uint64_t number = begun.fetch_add(1);
    if (number >= ledger.items) return;
    queue.put(Kind::make(static_cast<std::uint64_t>(which), number));
  }
}

template <class Kind>
void consume(const Queue<typename Kind::Item>& queue, const Ledger& ledger) {
  std::array<std::uint64_t, producers> next{};
  for (const auto& item : queue) {
    const std::uint64_t producer = Kind::producer(item), number = Kind::number(item);
    if (producer >= producers || number >= ledger.items || !Kind::whole(item)) {
      ledger.torn.fetch_add(1);
      continue;
    }
    if (number < next[producer]) ledger.disordered.fetch_add(1);
    next[producer] = number + 1;
    std::atomic_ref(ledger.seen[producer * ledger.items + number]).fetch_add(1);
    ledger.taken.fetch_add(1);
  }
}

template <class Kind>
class Crew {
 public:
  Crew(std::size_t room, std::uint64_t each, unsigned seed)
      : random_(seed), queue_(room), ledger_(ledger_for(each)) {
    for (int i = 0; i < producers + consumers; ++i) start(i);
  }

  void kill_and_replace() {
    const int victim = std::uniform_int_distribution(0, producers + consumers - 1)(random_);
    Process& process = *crew_[static_cast<std::size_t>(victim)];
    process.kill();
    process.join();
    if (process.exitcode() == -9) ++(victim < producers ? dead_producers : dead_consumers);
    start(victim);
  }
  [[nodiscard]] bool all_put() const {
    for (const auto& begun : ledger_.begun) {
      if (begun.load() < ledger_.items) return false;
    }
    return true;
  }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

  // False: somebody hangs.
  bool end() {
    for (int i = 0; i < producers; ++i) {
      if (!crew_[static_cast<std::size_t>(i)]->join(60s)) return false;
    }
    queue_.close();
    for (int i = producers; i < producers + consumers; ++i) {
      Process& process = *crew_[static_cast<std::size_t>(i)];
      if (!process.join(60s) || process.exitcode() != 0) return false;
    }
    return true;
  }
  [[nodiscard]] bool drained() const { return queue_.empty(); }

  long dead_producers = 0, dead_consumers = 0;

 private:
  void start(int which) {
    ProcessOptions options;
    options.daemon = true;
    options.start_method = random_() % 4 == 0 ? StartMethod::Fork : StartMethod::ForkServer;
    auto& place = crew_[static_cast<std::size_t>(which)];
    if (which < producers) {
      place = std::make_unique<Process>(options, produce<Kind>, queue_, ledger_, which);
    } else {
      place = std::make_unique<Process>(options, consume<Kind>, queue_, ledger_);
    }
    place->start();
  }

  std::minstd_rand random_;
  Queue<typename Kind::Item> queue_;
  Ledger ledger_;
  std::array<std::unique_ptr<Process>, producers + consumers> crew_;
};

std::uint64_t item_count(std::uint64_t usual) {
  if (const char* text = std::getenv("PROCESSION_SOAK_ITEMS")) return std::strtoull(text, {}, 10);
  return test_support::under_asan || test_support::under_tsan ? usual / 8 : usual;
}

struct Dead {
  long producers, consumers;
};

template <class Kind>
void soak(std::size_t room, std::uint64_t items, Dead& dead) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::minstd_rand random(seed);
  const auto begin = steady_clock::now();
  Crew<Kind> crew(room, items / producers, seed);
  long last = -1;
  auto moved = begin;
  long kills = 0;
  while (!crew.all_put()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2 + random() % 6));
    crew.kill_and_replace();
    ++kills;
    const long taken = crew.ledger().taken.load();
    if (taken != last) moved = steady_clock::now();
    last = taken;
    ASSERT_LT(steady_clock::now() - moved, 30s) << "nothing comes out any more";
  }
  ASSERT_TRUE(crew.end()) << "somebody hangs";
  const std::chrono::duration<double> seconds = steady_clock::now() - begin;

  const Ledger& ledger = crew.ledger();
  long missing = 0, twice = 0;
  for (const std::uint8_t times : ledger.seen) {
    missing += times == 0 ? 1 : 0;
    twice += times > 1 ? 1 : 0;
  }
  EXPECT_EQ(ledger.torn.load(), 0);
  EXPECT_EQ(ledger.disordered.load(), 0);
  EXPECT_EQ(twice, 0);
  // A producer may have died with its item unput, a consumer with one that it had taken.
  EXPECT_LE(missing, crew.dead_producers + crew.dead_consumers);
  EXPECT_TRUE(crew.drained());
  dead = {crew.dead_producers, crew.dead_consumers};
  std::cout << ledger.seen.size() << " items in " << seconds.count() << " s, " << kills
            << " kills; " << crew.dead_producers << " producers and " << crew.dead_consumers
            << " consumers died, " << missing << " items are missing\n";
}

// The blocks of the dead come back: what is left does not grow with the kills.
template <class Kind>
void soak_and_look(std::size_t room, std::uint64_t items) {
  Dead dead{};
  soak<Kind>(room, items / 20, dead);
  const MemoryStats before = memory_stats();
  soak<Kind>(room, items, dead);
  EXPECT_GT(dead.producers, 0);
  EXPECT_GT(dead.consumers, 0);
  const MemoryStats after = memory_stats();
  EXPECT_LE(after.blocks, before.blocks + 100);
  EXPECT_LE(after.in_use, before.in_use + (1 << 20));
}

TEST(QueueSoak, ItemsInTheCells) { soak_and_look<InCell>(0, item_count(30'000'000)); }
TEST(QueueSoak, ItemsInTheCellsOfASmallQueue) { soak_and_look<InCell>(7, item_count(10'000'000)); }
TEST(QueueSoak, ItemsInBlocks) { soak_and_look<Encoded>(100, item_count(10'000'000)); }

}  // namespace
}  // namespace procession
