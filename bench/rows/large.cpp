// Row 16: 64 MiB at a time.
#include <cstddef>
#include <cstring>
#include <procession/procession.hpp>
#include <utility>
#include <vector>

#include "rows.hpp"

namespace mp = procession;

namespace bench {

namespace {

constexpr std::size_t bytes = std::size_t{64} << 20;

std::size_t size_of(const std::vector<char>& data) { return data.size(); }

// Bytes per second of one process that copies, into memory that it has used before.
double copy(std::size_t times) {
  const std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes, 2);
  const double seconds = seconds_of([&] {
    for (std::size_t i = 0; i < times; ++i) {
      std::memcpy(to.data(), from.data(), bytes);
      keep(to.data());
    }
  });
  return static_cast<double>(bytes * times) / seconds;
}

// A stream of them: one is put in while the one before is taken out.
double through_queue(std::size_t times) {
  mp::Queue<std::vector<char>> there(2);
  mp::Queue<std::size_t> back;
  mp::Process other([there, back] {
    for (const auto& each : there) back.put(each.size());
  });
  other.start();
  const std::vector<char> data(bytes, 1);
  const auto pump = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) there.put(data);
    for (std::size_t i = 0; i < count; ++i) keep(back.get());
  };
  pump(4);
  const double seconds = seconds_of([&] { pump(times); });
  there.close();
  other.join();
  return static_cast<double>(bytes * times) / seconds;
}

double through_apply(std::size_t times) {
  mp::PoolOptions options;
  options.processes = 2;
  mp::Pool pool(options);
  const std::vector<char> data(bytes, 1);
  const auto pump = [&](std::size_t count) {
    auto before = pool.apply_async(size_of, data);
    for (std::size_t i = 1; i < count; ++i) {
      auto next = pool.apply_async(size_of, data);
      keep(before.get());
      before = std::move(next);  // with its result the memory of the call goes
    }
    keep(before.get());
  };
  pump(4);
  const double seconds = seconds_of([&] { pump(times); });
  return static_cast<double>(bytes * times) / seconds;
}

}  // namespace

Rows large_payload(const Settings& settings) {
  const Row plan{.number = 16,
                 .unit = Unit::BytesPerSecond,
                 .against = "memcpy",
                 .target = {true, 0.5, ">= 0.5 x"}};
  const std::size_t times = settings.quick ? 8 : 32;
  const auto floor = [&] { return copy(times); };
  Row queue = plan, apply = plan;
  queue.what = "64 MiB vector<char> through Queue";
  compare(
      queue, settings.few_repeats() + 1, [&] { return through_queue(times); }, floor);
  apply.what = "64 MiB vector<char> through apply_async";
  compare(
      apply, settings.few_repeats() + 1, [&] { return through_apply(times); }, floor);
  return {queue, apply};
}

}  // namespace bench
