// Rows 1 to 5: how long processes and pools take to come and go.

#include <cmath>
#include <procession/procession.hpp>
#include <string>
#include <vector>

#include "floors/process.hpp"
#include "measure.hpp"
#include "rows.hpp"

namespace mp = procession;

namespace bench {

namespace {

void nothing() {}

double start_and_join(mp::StartMethod method) {
  return seconds_of([&] {
    mp::ProcessOptions options;
    options.start_method = method;
    mp::Process process(options, nothing);
    process.start();
    process.join();
  });
}

// What the floor would be in a program without the library.
std::string without_handlers(int repeats) {
  std::vector<double> values;
  for (int i = 0; i < repeats; ++i) values.push_back(floors::bare_fork());
  return "without the library's fork handlers the floor is " +
         std::to_string(std::lround(summary_of(values).value * 1e6)) + " us";
}

// Memory that a fork has to copy the page tables of.
std::vector<char> touched(std::size_t bytes) { return std::vector<char>(bytes, 1); }

}  // namespace

Rows fork_start_join(const Settings& settings) {
  Row row{.number = 1,
          .what = "Process start + join, Fork",
          .against = "fork + _exit + waitpid",
          .target = {false, 1.25, "<= 1.25 x"}};
  compare(
      row, 10 * settings.repeats(), [] { return start_and_join(mp::StartMethod::Fork); },
      [] { return floors::forks(); });
  row.note = without_handlers(10 * settings.repeats());
  return {row};
}

Rows fork_server_start_join(const Settings& settings) {
  Row row{.number = 2,
          .what = "Process start + join, ForkServer (warm)",
          .against = "fork + _exit + waitpid",
          .target = {false, 1.6, "<= 1.6 x"}};
  compare(
      row, 10 * settings.repeats(), [] { return start_and_join(mp::StartMethod::ForkServer); },
      [] { return floors::forks(); });
  return {row};
}

Rows fork_server_of_large_parent(const Settings& settings) {
  Row row{.number = 3,
          .what = "the same, parent with 1 GiB touched",
          .against = "fork of that parent",
          .target = {false, 1.0 / 25, "<= 1/25"}};
  auto memory = touched(std::size_t{1} << 30);
  compare(
      row, settings.repeats(), [] { return start_and_join(mp::StartMethod::ForkServer); },
      [] { return floors::forks(); });
  keep(memory.back());
  return {row};
}

Rows spawn_start_join(const Settings& settings) {
  Row row{.number = 4,
          .what = "Process start + join, Spawn",
          .against = "posix_spawn of this binary",
          .target = {false, 1.5, "<= 1.5 x"}};
  compare(
      row, 2 * settings.repeats(), [] { return start_and_join(mp::StartMethod::Spawn); },
      [] { return floors::spawn(); });
  return {row};
}

Rows pool_made_and_destroyed(const Settings& settings) {
  Row row{.number = 5,
          .what = "Pool(2) made and destroyed",
          .against = "2 forks",
          .target = {false, 4, "<= 4 x"}};
  auto ours = [] { return seconds_of([] { mp::Pool pool(2); }); };
  compare(row, 3 * settings.repeats(), ours, [] { return floors::forks(2); });
  return {row};
}

}  // namespace bench
