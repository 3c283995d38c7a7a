// Rows 13 to 15: items from process to process, one way and there and back.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <procession/procession.hpp>
#include <vector>

#include "crew.hpp"
#include "floors/echo.hpp"
#include "peers/boost_queue.hpp"
#include "rows.hpp"

namespace mp = procession;

namespace bench {

namespace {

// Items per second of so many producers and as many consumers.
template <class Queue>
double pump(Queue& queue, std::size_t pairs, std::size_t items) {
  std::vector<std::function<void()>> crew;
  const std::size_t each = items / pairs;
  for (std::size_t i = 0; i < pairs; ++i) {
    crew.push_back([&queue, each] {
      for (std::size_t n = 0; n < each; ++n) queue.put(static_cast<long>(n));
    });
    crew.push_back([&queue, each] {
      for (std::size_t n = 0; n < each; ++n) keep(queue.get());
    });
  }
  return static_cast<double>(each * pairs) / seconds_of_crew(crew);
}

// Both hold as many items as Boost's.
Row throughput(Row row, const Settings& settings, std::size_t pairs) {
  constexpr std::size_t most = 1000;
  mp::Queue<long> ours(most);
  peers::BoostQueue theirs(most);
  const std::size_t items = settings.items(10'000'000);
  compare(
      row, settings.few_repeats() + 1, [&] { return pump(ours, pairs, items); },
      [&] { return pump(theirs, pairs, items / 10); });
  return row;
}

}  // namespace

Rows queue_one_to_one(const Settings& settings) {
  Row row{.number = 13,
          .what = "Queue of longs, 1 producer, 1 consumer",
          .unit = Unit::PerSecond,
          .against = "Boost message_queue",
          .target = {true, 10, ">= 10 x"}};
  return {throughput(row, settings, 1)};
}

Rows queue_two_to_two(const Settings& settings) {
  Row row{.number = 14,
          .what = "Queue of longs, 2 producers, 2 consumers",
          .unit = Unit::PerSecond,
          .against = "Boost message_queue",
          .target = {true, 5, ">= 5 x"}};
  return {throughput(row, settings, 2)};
}

// The other process lives for one run only: see the echo.
Rows queue_round_trip(const Settings& settings) {
  Row row{.number = 15,
          .what = "Queue round trip, sleeping",
          .against = "two-futex ping-pong",
          .target = {false, 1.3, "<= 1.3 x"}};
  const std::uint32_t count = 5'000;
  const auto ours = [&] {
    mp::Queue<long> there, back;
    mp::ProcessOptions options;
    options.start_method = mp::StartMethod::Fork;
    mp::Process other(options, [there, back] {
      for (long item : there) back.put(item);
    });
    other.start();
    const auto ping = [&](std::uint32_t times) {
      for (std::uint32_t i = 0; i < times; ++i) {
        there.put(i);
        keep(back.get());
      }
    };
    ping(10);
    const double seconds = seconds_of([&] { ping(count); }) / count;
    there.close();
    other.join();
    return seconds;
  };
  const auto floor = [&] {
    floors::Echo echo(floors::Echo::Wait::Sleep);
    echo.round_trips(10);
    return echo.round_trips(count);
  };
  compare(row, settings.repeats(), ours, floor);
  return {row};
}

}  // namespace bench
