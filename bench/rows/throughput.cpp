// Rows 8 to 12: many calls.
#include <numeric>
#include <optional>
#include <procession/procession.hpp>
#include <string>
#include <vector>

#include "peers/python.hpp"
#include "peers/tbb.hpp"
#include "rows.hpp"
#include "work.hpp"

namespace mp = procession;

namespace bench {

namespace {

std::vector<long> numbers(std::size_t count) {
  std::vector<long> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

double per_second(std::size_t count, double seconds) {
  return static_cast<double>(count) / seconds;
}

double apply_all(mp::Pool& pool, std::size_t count) {
  return per_second(count, seconds_of([&] {
                      std::vector<mp::AsyncResult<long>> results;
                      results.reserve(count);
                      for (std::size_t i = 0; i < count; ++i) {
                        results.push_back(pool.apply_async(square, static_cast<long>(i)));
                      }
                      long sum = 0;
                      for (auto& result : results) sum += result.get();
                      keep(sum);
                    }));
}

double map_all(mp::Pool& pool, const std::vector<long>& input, std::size_t chunksize) {
  return per_second(input.size(),
                    seconds_of([&] { keep(pool.map(square, input, chunksize).back()); }));
}

double imap_all(mp::Pool& pool, const std::vector<long>& input) {
  return per_second(input.size(), seconds_of([&] {
                      long sum = 0;
                      for (long result : pool.imap_unordered(square, input, 1)) sum += result;
                      keep(sum);
                    }));
}

// One call of CPython, or the figure it has given on a machine like CI's.
struct PythonCall {
  const char* call;
  const char* chunksize;
  std::size_t items;
  double recorded;
};

void compare_with_python(Row& row, const Settings& settings, const Run& ours,
                         const PythonCall& python) {
  bool recorded = false;
  auto theirs = [&] {
    auto rate = recorded ? std::nullopt
                         : peers::python_rate("pool.py", {python.call, python.chunksize,
                                                          std::to_string(python.items)});
    recorded = !rate;
    return rate.value_or(python.recorded);
  };
  compare(row, settings.few_repeats(), ours, theirs);
  if (recorded) row.note = "python3 did not run: the figure of CPython is recorded, not measured";
}

Row without_tbb(Row row) {
  row.failed = true;
  row.note = "failed: the bench was built without TBB";
  return row;
}

}  // namespace

Rows tiny_tasks(const Settings& settings) {
  Row row{.number = 8,
          .what = "tiny apply_async, 2 workers, then all get",
          .unit = Unit::PerSecond,
          .against = "TBB task_group, 2 threads",
          .target = {true, 0.5, ">= 0.5, then 1"}};
  if (!peers::have_tbb()) return {without_tbb(row)};
  std::size_t count = settings.items(1'000'000);
  mp::Pool pool(2);
  compare(
      row, settings.repeats(), [&] { return apply_all(pool, count); },
      [&] { return peers::tbb_tiny_tasks(count); });
  return {row};
}

Rows map_single(const Settings& settings) {
  Row row{.number = 9,
          .what = "map(chunksize = 1) of longs",
          .unit = Unit::PerSecond,
          .against = "CPython map(chunksize=1)",
          .target = {true, 150, ">= 150 x"}};
  auto input = numbers(settings.items(1'000'000));
  mp::Pool pool(2);
  compare_with_python(row, settings, [&] { return map_all(pool, input, 1); },
                      {"map", "1", settings.items(100'000), 27e3});
  return {row};
}

Rows map_default(const Settings& settings) {
  Row row{.number = 10,
          .what = "map of 1 M longs, x*x",
          .unit = Unit::PerSecond,
          .against = "CPython map",
          .target = {true, 50, ">= 50 x"}};
  auto input = numbers(1'000'000);
  mp::Pool pool(2);
  compare_with_python(row, settings, [&] { return map_all(pool, input, 0); },
                      {"map", "0", 1'000'000, 3.1e6});
  return {row};
}

Rows map_of_work(const Settings& settings) {
  Rows rows;
  mp::Pool pool(2);
  for (int microseconds : {1, 10}) {
    Row row{.number = 11,
            .what = "map of items of " + std::to_string(microseconds) + " us work",
            .unit = Unit::PerSecond,
            .against = "TBB parallel_for",
            .target = {true, 0.95, ">= 0.95 x"}};
    if (!peers::have_tbb()) {
      rows.push_back(without_tbb(row));
      continue;
    }
    unsigned rounds = rounds_for(microseconds * 1e-6);
    auto input = numbers(settings.items(500'000) / static_cast<unsigned>(microseconds));
    auto item = [rounds](long x) { return work(x, rounds); };
    auto ours = [&] {
      return per_second(input.size(), seconds_of([&] { keep(pool.map(item, input).back()); }));
    };
    compare(row, settings.repeats(), ours, [&] { return peers::tbb_work(input.size(), rounds); });
    rows.push_back(row);
  }
  return rows;
}

Rows imap_unordered_single(const Settings& settings) {
  Row row{.number = 12,
          .what = "imap_unordered of longs, chunksize 1",
          .unit = Unit::PerSecond,
          .against = "CPython imap",
          .target = {true, 100, ">= 100 x"}};
  auto input = numbers(settings.items(1'000'000));
  mp::Pool pool(2);
  compare_with_python(row, settings, [&] { return imap_all(pool, input); },
                      {"imap", "1", settings.items(100'000), 22e3});
  return {row};
}

}  // namespace bench
