#include "peers/tbb.hpp"

#include <stdexcept>
#include <vector>

#include "work.hpp"

#if defined(PROCESSION_BENCH_TBB)

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>

namespace bench::peers {

namespace {

// Two threads, the calling one and one more, as a pool of two processes has two.
tbb::global_control two_threads() {
  return tbb::global_control(tbb::global_control::max_allowed_parallelism, 2);
}

}  // namespace

bool have_tbb() { return true; }

double tbb_tiny_tasks(std::size_t count) {
  auto control = two_threads();
  std::vector<long> results(count);
  double seconds = seconds_of([&] {
    tbb::task_group group;
    for (std::size_t i = 0; i < count; ++i) {
      group.run([&results, i] { results[i] = square(static_cast<long>(i)); });
    }
    group.wait();
    long sum = 0;
    for (long result : results) sum += result;
    keep(sum);
  });
  return static_cast<double>(count) / seconds;
}

double tbb_work(std::size_t items, unsigned rounds) {
  auto control = two_threads();
  std::vector<long> results(items);
  double seconds = seconds_of([&] {
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, items), [&](const auto& range) {
      for (std::size_t i = range.begin(); i != range.end(); ++i) {
        results[i] = work(static_cast<long>(i), rounds);
      }
    });
    keep(results.back());
  });
  return static_cast<double>(items) / seconds;
}

}  // namespace bench::peers

#else

namespace bench::peers {

bool have_tbb() { return false; }
double tbb_tiny_tasks(std::size_t) { throw std::logic_error("built without TBB"); }
double tbb_work(std::size_t, unsigned) { throw std::logic_error("built without TBB"); }

}  // namespace bench::peers

#endif
