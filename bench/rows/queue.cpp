// Rows 13 and 14: items from process to process, one way.
#include <cstddef>
#include <functional>
#include <procession/procession.hpp>
#include <string>
#include <vector>

#include "crew.hpp"
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

// Both hold as many items. Few: Boost's own example has 100. With more, and with both processes on
// one CPU, each has a long time for itself: then a lock costs little.
Rows throughput(const Row& plan, const Settings& settings, std::size_t pairs) {
  Rows rows;
  for (const std::size_t most : {std::size_t{100}, std::size_t{1000}}) {
    Row row = plan;
    row.what += ", room for " + std::to_string(most);
    mp::Queue<long> ours(most);
    peers::BoostQueue theirs(most);
    const std::size_t items = settings.items(10'000'000);
    compare(
        row, settings.few_repeats() + 1, [&] { return pump(ours, pairs, items); },
        [&] { return pump(theirs, pairs, items / 10); });
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

Rows queue_one_to_one(const Settings& settings) {
  Row row{.number = 13,
          .what = "Queue<long>, 1 to 1",
          .unit = Unit::PerSecond,
          .against = "Boost message_queue",
          .target = {true, 10, ">= 10 x"}};
  return throughput(row, settings, 1);
}

Rows queue_two_to_two(const Settings& settings) {
  Row row{.number = 14,
          .what = "Queue<long>, 2 to 2",
          .unit = Unit::PerSecond,
          .against = "Boost message_queue",
          .target = {true, 5, ">= 5 x"}};
  return throughput(row, settings, 2);
}

}  // namespace bench
