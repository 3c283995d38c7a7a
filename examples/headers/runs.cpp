#include "runs.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <procession/procession.hpp>
#include <string>
#include <utility>

#include "killer.hpp"
#include "source_file.hpp"

namespace headers {
namespace {

namespace mp = procession;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds time_between_kills{50};
// A task is retried as often as it takes: that it is killed again and again is up to chance.
constexpr int retries_under_chaos = 1'000'000;

volatile std::sig_atomic_t interrupted = 0;

void throw_if_interrupted() {
  if (interrupted != 0) throw Interrupted{};
}

// "one process  42 %" on stderr, when that is a terminal; erased at the end.
class StatusLine {
 public:
  StatusLine(std::string what, std::size_t steps) : what_(std::move(what)), steps_(steps) {}
  ~StatusLine() {
    if (percent_ >= 0) std::cerr << "\r\033[K" << std::flush;
  }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  void step() {
    const int percent = static_cast<int>(++done_ * 100 / steps_);
    if (!terminal_ || percent == percent_) return;
    percent_ = percent;
    std::cerr << '\r' << what_ << "  " << percent << " %" << std::flush;
  }

 private:
  std::string what_;
  std::size_t steps_;
  std::size_t done_ = 0;
  int percent_ = -1;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

std::vector<WorkerLine> worker_lines(const mp::PoolStats& stats) {
  std::vector<WorkerLine> lines;
  for (const mp::WorkerStats& worker : stats.workers) {
    const std::chrono::duration<double> busy = worker.busy;
    const std::chrono::duration<double> life = worker.busy + worker.idle;
    lines.push_back({worker.pid, worker.tasks, life.count() > 0 ? busy / life : 0, worker.startup,
                     worker.peak_memory, worker.restarts});
  }
  return lines;
}

std::vector<pid_t> worker_pids(const mp::Pool& pool) {
  std::vector<pid_t> pids;
  for (const mp::WorkerStats& worker : pool.stats().workers) pids.push_back(worker.pid);
  return pids;
}

void count_in(mp::Pool& pool, const std::vector<Batch>& batches, Run& run) {
  for (auto&& partial : pool.imap_unordered(count_batch, batches)) {
    throw_if_interrupted();
    run.census.add(partial);
  }
}

void count_under_chaos(mp::Pool& pool, const std::vector<Batch>& batches, Run& run) {
  Killer killer([&pool] { return worker_pids(pool); }, time_between_kills);
  count_in(pool, batches, run);
  run.chaos = Chaos{killer.stop(), pool.stats().retried};
}

}  // namespace

void watch_for_interrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

Run run_in_pool(const std::vector<Batch>& batches, const PoolRunOptions& options) try {
  Run run;
  const auto start = Clock::now();
  {
    mp::PoolOptions pool_options;
    pool_options.processes = options.processes;
    pool_options.retries = options.chaos ? retries_under_chaos : 0;
    pool_options.name = "headers";
    pool_options.progress = true;
    mp::Pool pool(pool_options);
    if (options.chaos) {
      count_under_chaos(pool, batches, run);
    } else {
      count_in(pool, batches, run);
    }
    run.workers = worker_lines(pool.stats());
  }
  run.elapsed = Clock::now() - start;
  return run;
} catch (const mp::ProcessError&) {
  // Ctrl-C reaches the workers too; what their end makes the pool report is not the cause.
  throw_if_interrupted();
  throw;
}

Run run_in_this_process(const std::vector<Batch>& batches) {
  Run run;
  StatusLine status("one process", batches.size());
  const auto start = Clock::now();
  for (const Batch& batch : batches) {
    throw_if_interrupted();
    run.census.add(count_batch(batch));
    status.step();
  }
  run.elapsed = Clock::now() - start;
  return run;
}

void read_once(std::span<const HeaderFile> files) {
  StatusLine status("reading once", files.size());
  SourceReader reader;
  for (const HeaderFile& file : files) {
    throw_if_interrupted();
    reader.read(file.path.c_str());
    status.step();
  }
}

}  // namespace headers
