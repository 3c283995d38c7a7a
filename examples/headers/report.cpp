#include "report.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <ostream>

#include "format.hpp"

namespace headers {
namespace {

constexpr std::size_t name_width = 26;
constexpr std::size_t number_width = 13;
constexpr std::size_t bar_width = 18;
constexpr std::size_t workers_shown = 8;
constexpr std::size_t skipped_shown = 4;  // of one kind

double seconds(const Run& run) { return std::chrono::duration<double>(run.elapsed).count(); }

}  // namespace

std::string Report::bold(const std::string& text) const {
  return colours_ ? "\033[1m" + text + "\033[0m" : text;
}

std::string Report::faint(const std::string& text) const {
  return colours_ ? "\033[2m" + text + "\033[0m" : text;
}

// In eighths of a column.
std::string Report::bar(double share, std::size_t width) const {
  constexpr std::array<const char*, 8> parts = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(share * static_cast<double>(width) * 8 + 0.5);
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  text += parts[eighths % 8];
  return colours_ ? "\033[36m" + text + "\033[0m" : text;
}

void Report::identifiers(const Census& census, std::size_t count) {
  const std::vector<IdentifierCount> top = census.top(count);
  if (top.empty()) return;
  out_ << bold("     " + left_aligned("identifier", name_width) +
               right_aligned("files", number_width - 4) +
               right_aligned("occurrences", number_width))
       << '\n';
  std::size_t rank = 0;
  for (const IdentifierCount& entry : top) {
    const double share =
        static_cast<double>(entry.files) / static_cast<double>(census.totals().files);
    out_ << faint(right_aligned(std::to_string(++rank), 3)) << "  "
         << left_aligned(entry.name, name_width)
         << right_aligned(grouped(entry.files), number_width - 4)
         << right_aligned(grouped(entry.occurrences), number_width) << "  " << bar(share, bar_width)
         << '\n';
  }
  out_ << '\n';
}

void Report::totals(const Totals& totals, std::size_t distinct_identifiers) {
  const auto cell = [this](std::uint64_t number, std::string_view what, bool last) {
    out_ << right_aligned(grouped(number), number_width) << ' '
         << (last ? std::string(what) : left_aligned(what, 13)) << (last ? "\n" : "");
  };
  out_ << bold("totals") << '\n';
  cell(totals.files, "files", false);
  cell(totals.lines, "lines", false);
  cell(totals.bytes, "bytes", true);
  cell(totals.all_tokens(), "tokens", false);
  cell(distinct_identifiers, "distinct identifiers", true);
  std::size_t column = 0;
  for (std::size_t kind = 0; kind < token_kinds; ++kind) {
    const bool last = column == 2 || kind + 1 == token_kinds;
    cell(totals.tokens[kind], token_kind_names[kind], last);
    column = last ? 0 : column + 1;
  }
  out_ << '\n';
}

void Report::workers(std::span<const WorkerLine> workers) {
  out_ << bold("worker pid     tasks      busy  start-up  peak memory  restarts") << '\n';
  for (const WorkerLine& worker : workers.first(std::min(workers.size(), workers_shown))) {
    out_ << right_aligned(std::to_string(worker.pid), 10)
         << right_aligned(grouped(worker.tasks), 10)
         << right_aligned(decimal(worker.busy * 100, 0) + " %", 10)
         << right_aligned(duration(worker.startup), 10)
         << right_aligned(byte_size(worker.peak_memory), 13)
         << right_aligned(grouped(worker.restarts), 10) << '\n';
  }
  if (workers.size() > workers_shown) {
    out_ << faint("       and " + std::to_string(workers.size() - workers_shown) + " more") << '\n';
  }
  out_ << '\n';
}

void Report::run_line(const std::string& name, const Run& run, const std::string& remark) {
  const double rate = static_cast<double>(run.census.totals().bytes) / std::max(seconds(run), 1e-9);
  out_ << left_aligned(name, 16) << right_aligned(duration(run.elapsed), 10) << "  "
       << right_aligned(byte_size(static_cast<std::uint64_t>(rate)) + "/s", 12)
       << (remark.empty() ? "" : "  " + faint(remark)) << '\n';
}

void Report::chaos_line(const Chaos& chaos) {
  out_ << left_aligned("chaos", 16)
       << counted(chaos.killed, "worker") + " killed by SIGKILL, " +
              counted(chaos.retried, "task") + " retried, none lost\n";
}

void Report::speed(const Run& pool) {
  run_line("pool of " + std::to_string(pool.workers.size()), pool, "its start and end included");
  if (pool.chaos) chaos_line(*pool.chaos);
}

void Report::speed(const Run& pool, const Run& one_process, bool same) {
  speed(pool);
  run_line("one process", one_process, "");
  out_ << left_aligned("speed-up", 16)
       << bold(right_aligned(
              decimal(seconds(one_process) / std::max(seconds(pool), 1e-9), 2) + " x", 10))
       << std::string(14, ' ') << "  ";
  if (same) {
    out_ << "same totals, same counts of all "
         << counted(pool.census.identifiers().size(), "identifier") << '\n';
  } else {
    out_ << bold("the results differ") << ": did a file change between the two runs?\n";
  }
}

void report_skipped(std::ostream& out, std::span<const SkippedFile> skipped) {
  std::map<std::string, std::vector<const SkippedFile*>> by_reason;
  for (const SkippedFile& file : skipped) by_reason[file.reason].push_back(&file);
  for (const auto& [reason, files] : by_reason) {
    const std::size_t shown = files.size() <= skipped_shown + 1 ? files.size() : skipped_shown;
    for (std::size_t i = 0; i < shown; ++i) {
      out << "headers: skipped " << printable(files[i]->path) << ": " << reason << '\n';
    }
    if (shown < files.size()) {
      out << "headers: skipped " << grouped(files.size() - shown) << " more: " << reason << '\n';
    }
  }
}

}  // namespace headers
