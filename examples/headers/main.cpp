// Which identifiers do the headers of this machine use? Counted in a pool of processes, then in
// one, with the same result and in less time. See README.md.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "census.hpp"
#include "folders.hpp"
#include "format.hpp"
#include "report.hpp"
#include "runs.hpp"

namespace {

constexpr int exit_differs = 1;
constexpr int exit_usage = 2;
constexpr int exit_interrupted = 130;  // what a shell gives a program that SIGINT ended

struct Options {
  std::vector<std::string> folders = {"/usr/include"};
  std::size_t top = 12;
  bool no_serial = false;
  headers::PoolRunOptions pool;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("folder", options.folders, "Folders to search, or single files")
      ->capture_default_str();
  app.add_option("--top", options.top, "Identifiers to show")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  app.add_option("--processes", options.pool.processes, "Workers; default: one for each usable CPU")
      ->check(CLI::Range(1, 256));
  app.add_flag("--chaos", options.pool.chaos, "Kill a random worker every 50 ms of the run");
  app.add_flag("--no-serial", options.no_serial, "Leave out the run in one process");
}

bool colours_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
}

void introduce(const Options& options, const std::vector<headers::HeaderFile>& files,
               std::size_t batches) {
  const std::uint64_t bytes = std::accumulate(
      files.begin(), files.end(), std::uint64_t{0},
      [](std::uint64_t sum, const headers::HeaderFile& f) { return sum + f.bytes; });
  std::cout << "Headers below "
            << (options.folders.size() == 1 ? headers::printable(options.folders.front())
                                            : headers::counted(options.folders.size(), "folder"))
            << ": " << headers::counted(files.size(), "file") << ", " << headers::byte_size(bytes)
            << ", cut into " << headers::counted(batches, "task") << ".\n";
  if (!options.no_serial) {
    std::cout << "All are read once before the clock starts: both runs find them in memory.\n";
  }
  std::cout << '\n' << std::flush;
}

int take_census(const Options& options) {
  const headers::Folders found = headers::find_headers(options.folders);
  headers::report_skipped(std::cerr, found.problems);
  if (found.usable == 0) {
    std::cerr << "headers: nothing to read\n";
    return exit_usage;
  }
  if (found.files.empty()) {
    std::cout << "No C or C++ headers found.\n";
    return 0;
  }
  const std::vector<headers::Batch> batches = headers::make_batches(found.files);
  const bool serial = !options.no_serial;
  introduce(options, found.files, batches.size());
  headers::watch_for_interrupt();
  if (serial) headers::read_once(found.files);

  const headers::Run pool = headers::run_in_pool(batches, options.pool);
  headers::Report report(std::cout, colours_wanted());
  report.identifiers(pool.census, options.top);
  report.totals(pool.census.totals(), pool.census.identifiers().size());
  report.workers(pool.workers);
  std::cout << std::flush;
  headers::report_skipped(std::cerr, pool.census.skipped());
  if (!serial) {
    report.speed(pool);
    return 0;
  }
  const headers::Run one_process = headers::run_in_this_process(batches);
  const bool same = pool.census == one_process.census;
  report.speed(pool, one_process, same);
  return same ? 0 : exit_differs;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Counts the identifiers of C and C++ headers, in a pool of processes and in one.",
               "headers");
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  try {
    return take_census(options);
  } catch (const headers::Interrupted&) {
    std::cerr << "headers: interrupted\n";
    return exit_interrupted;
  } catch (const std::exception& error) {
    std::cerr << "headers: " << error.what() << '\n';
    return exit_differs;
  }
}
