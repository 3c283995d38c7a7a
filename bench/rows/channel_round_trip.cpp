// Row 15: an item there, and back; and how long the slowest of them take.
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sched.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <procession/procession.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "floors/echo.hpp"
#include "peers/boost_queue.hpp"
#include "peers/python.hpp"
#include "rows.hpp"

namespace mp = procession;

namespace bench {

namespace {

// One there and back.
using Trip = std::function<void(long)>;

// A forked process; join() waits for its end.
class Forked {
 public:
  explicit Forked(const std::function<void()>& body) : pid_(::fork()) {
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ > 0) return;
    try {
      body();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  void join() const { ::waitpid(pid_, nullptr, 0); }

 private:
  pid_t pid_;
};

// Calls measure(trip), while another process answers through queues.
template <class Measure>
auto with_queues(Measure measure) {
  mp::Queue<long> there, back;
  const Forked other([&] {
    for (long item : there) back.put(item);
  });
  auto result = measure([&](long i) {
    there.put(i);
    keep(back.get());
  });
  there.close();
  other.join();
  return result;
}

template <class Measure>
auto with_connection(Measure measure) {
  auto [mine, theirs] = mp::Pipe();
  const Forked other([&, theirs = theirs] {
    for (long item = 0; (item = theirs.recv<long>()) >= 0;) theirs.send(item);
  });
  auto result = measure([&, mine = mine](long i) {
    mine.send(i);
    keep(mine.recv<long>());
  });
  mine.send(-1L);
  other.join();
  return result;
}

template <class Measure>
auto with_boost(Measure measure) {
  constexpr std::size_t room = 100;
  peers::BoostQueue there(room), back(room, "back");
  const Forked other([&] {
    for (long item = 0; (item = there.get()) >= 0;) back.put(item);
  });
  auto result = measure([&](long i) {
    there.put(i);
    keep(back.get());
  });
  there.put(-1);
  other.join();
  return result;
}

class RawPipe {
 public:
  RawPipe() {
    if (::pipe(ends_) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  }
  ~RawPipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  RawPipe(const RawPipe&) = delete;
  RawPipe& operator=(const RawPipe&) = delete;
  void put(long item) const { check(::write(ends_[1], &item, sizeof item)); }
  long get() const {
    long item = 0;
    check(::read(ends_[0], &item, sizeof item));
    return item;
  }

 private:
  static void check(ssize_t bytes) {
    if (bytes != sizeof(long)) throw std::runtime_error("a pipe did not carry a long");
  }
  int ends_[2];
};

template <class Measure>
auto with_pipes(Measure measure) {
  const RawPipe there, back;
  const Forked other([&] {
    for (long item = 0; (item = there.get()) >= 0;) back.put(item);
  });
  auto result = measure([&](long i) {
    there.put(i);
    keep(back.get());
  });
  there.put(-1);
  other.join();
  return result;
}

constexpr long warm_up = 100;

double mean_of(const Trip& trip, long count) {
  for (long i = 0; i < warm_up; ++i) trip(i);
  return seconds_of([&] {
           for (long i = 0; i < count; ++i) trip(i);
         }) /
         static_cast<double>(count);
}

struct Tail {
  double half, most, nearly_all;  // seconds: 50 %, 99 %, 99.9 % take no longer
  [[nodiscard]] std::string text() const {
    return fmt::format("{:.3g} / {:.3g} / {:.3g} us", half * 1e6, most * 1e6, nearly_all * 1e6);
  }
};

Tail tail_of(const Trip& trip, long count) {
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(count));
  for (long i = 0; i < warm_up; ++i) trip(i);
  for (long i = 0; i < count; ++i) seconds.push_back(seconds_of([&] { trip(i); }));
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double part) {
    return seconds[static_cast<std::size_t>(part * static_cast<double>(count))];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

std::optional<Tail> python_tail(const std::string& kind, long count) {
  const auto numbers =
      peers::python_numbers("channel.py", {kind, std::to_string(count)}, {"p50", "p99", "p999"});
  if (!numbers) return std::nullopt;
  return Tail{(*numbers)[0], (*numbers)[1], (*numbers)[2]};
}

// The 99th percentiles, and the others in the note.
Row tail_row(const std::string& what, const Tail& ours, const std::string& against,
             const std::optional<Tail>& theirs) {
  Row row{.number = 15, .what = what + ", 99 of 100 within", .against = against};
  row.ours.value = ours.most;
  if (theirs) {
    row.theirs.value = theirs->most;
    row.note = "50 / 99 / 99.9 % within " + ours.text() + "; " + against + ": " + theirs->text();
  } else {
    row.failed = true;
    row.note = "failed: no figure from python3";
  }
  return row;
}

// While it lives, this thread and what it starts have one CPU. How many there are is looked up only
// once in a process, so it is for a measurement of its own.
class OneCpu {
 public:
  OneCpu() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t before_;
};

double floor_round_trip(std::uint32_t count) {
  floors::Echo echo(floors::Echo::Wait::Sleep);
  echo.round_trips(10);
  return echo.round_trips(count);
}

Row plan_for(const std::string& what) {
  return {.number = 15,
          .what = what,
          .against = "two-futex ping-pong",
          .target = {false, 1.3, "<= 1.3 x"}};
}

// The other process lives for one run only: see the echo.
Row against_floor(Row row, const Settings& settings) {
  const long count = 5'000;
  const auto ours = [&] {
    return with_queues([&](const Trip& trip) { return mean_of(trip, count); });
  };
  compare(row, settings.repeats(), ours, [&] { return floor_round_trip(count); });
  return row;
}

}  // namespace

// With one CPU nobody spins, so both fall asleep each time.
Rows queue_round_trip_asleep(const Settings& settings) {
  const OneCpu one;
  return {against_floor(plan_for("Queue round trip, one CPU"), settings)};
}

Rows queue_round_trip(const Settings& settings) {
  Rows rows{against_floor(plan_for("Queue round trip, two CPUs"), settings)};
  const long count = settings.quick ? 10'000 : 100'000;
  const auto measure = [&](const Trip& trip) { return tail_of(trip, count); };
  const Tail queue = with_queues(measure), connection = with_connection(measure);
  const Tail boost = with_boost(measure), pipes = with_pipes(measure);
  rows.push_back(tail_row("Queue round trip", queue, "Boost message_queue", boost));
  rows.push_back(tail_row("Queue round trip", queue, "pipe(2)", pipes));
  rows.push_back(
      tail_row("Queue round trip", queue, "CPython Queue", python_tail("queue", count / 5)));
  rows.push_back(tail_row("Connection round trip", connection, "pipe(2)", pipes));
  rows.push_back(tail_row("Connection round trip", connection, "CPython Pipe",
                          python_tail("pipe", count / 5)));
  return rows;
}

}  // namespace bench
