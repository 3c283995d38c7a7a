// Rows 6 and 7: one call, there and back.
#include <chrono>
#include <cstdint>
#include <procession/procession.hpp>

#include "floors/echo.hpp"
#include "rows.hpp"
#include "work.hpp"

namespace mp = procession;

namespace bench {

namespace {

// Seconds of one apply to a pool of one worker, after the other.
double apply_round_trip(mp::Pool& pool, std::uint32_t count) {
  double seconds = seconds_of([&] {
    for (std::uint32_t i = 0; i < count; ++i) keep(pool.apply(square, static_cast<long>(i)));
  });
  return seconds / count;
}

// The echo lives for one run only, and the worker spins for a moment only: whoever spins while the
// other is measured takes a CPU from it.
Row compared(Row row, const Settings& settings, std::chrono::nanoseconds spin,
             floors::Echo::Wait wait, std::uint32_t count) {
  mp::PoolOptions options;
  options.processes = 1;
  options.spin = spin;
  mp::Pool pool(options);
  auto ours = [&] {
    apply_round_trip(pool, 10);
    return apply_round_trip(pool, count);
  };
  auto floor = [&] {
    floors::Echo echo(wait);
    echo.round_trips(10);
    return echo.round_trips(count);
  };
  compare(row, settings.repeats(), ours, floor);
  return row;
}

}  // namespace

Rows apply_sleeping(const Settings& settings) {
  Row row{.number = 6,
          .what = "apply round trip, sleeping",
          .against = "two-futex ping-pong",
          .target = {false, 1.3, "<= 1.3 x"}};
  return {compared(row, settings, std::chrono::nanoseconds(0), floors::Echo::Wait::Sleep, 5'000)};
}

Rows apply_spinning(const Settings& settings) {
  Row row{.number = 7,
          .what = "apply round trip, spinning",
          .against = "shared-memory ping-pong",
          .target = {false, 5, "<= 5 x"}};
  return {compared(row, settings, std::chrono::milliseconds(1), floors::Echo::Wait::Spin, 50'000)};
}

}  // namespace bench
