// What the program prints. Knows nothing of how the numbers came about.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "census.hpp"

namespace headers {

struct WorkerLine {
  pid_t pid = 0;
  std::size_t tasks = 0;
  double busy = 0;  // share of its life, 0 to 1
  std::chrono::nanoseconds startup{};
  std::size_t peak_memory = 0;  // bytes
  std::size_t restarts = 0;
};

struct Chaos {
  std::size_t killed = 0;
  std::size_t retried = 0;
};

struct Run {
  Census census;
  std::chrono::nanoseconds elapsed{};
  std::vector<WorkerLine> workers;  // empty: the run in one process
  std::optional<Chaos> chaos;       // when workers were killed on purpose
};

// Not thread-safe. Writes to `out`, which must outlive it; ANSI colours when `colours`.
class Report {
 public:
  Report(std::ostream& out, bool colours) : out_(out), colours_(colours) {}

  void identifiers(const Census& census, std::size_t count);
  void totals(const Totals& totals, std::size_t distinct_identifiers);
  void workers(std::span<const WorkerLine> workers);
  void speed(const Run& pool);
  void speed(const Run& pool, const Run& one_process, bool same);

 private:
  std::string bold(const std::string& text) const;
  std::string faint(const std::string& text) const;
  std::string bar(double share, std::size_t width) const;
  void run_line(const std::string& name, const Run& run, const std::string& remark);
  void chaos_line(const Chaos& chaos);

  std::ostream& out_;
  bool colours_;
};

// One line for each, on `out`; when there are more than a few of one kind, the rest as a number.
void report_skipped(std::ostream& out, std::span<const SkippedFile> skipped);

}  // namespace headers
