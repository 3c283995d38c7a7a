// procession_bench: ours beside each floor and peer, in one run.
//
// Each row is measured in a process of its own, this binary again with --measure, so that a row
// neither sees what another has left in memory nor takes the others down when it fails.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cereal/archives/binary.hpp>
#include <cereal/types/vector.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "report.hpp"
#include "rows.hpp"

extern char** environ;

namespace {

using namespace bench;

constexpr const char* usage =
    "procession_bench [--quick] [--row N]... [--json FILE]\n"
    "  --quick      fewer and smaller runs: under three minutes instead of under fifteen\n"
    "  --row N      only this row; may be repeated\n"
    "  --json FILE  the same rows for programs\n";

struct Arguments {
  Settings settings;
  std::vector<int> rows;
  std::string json;
  int measure = -1;  // with --measure INDEX DESCRIPTOR: which of measurements()
  int descriptor = -1;
  bool good = true;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    int left = argc - i - 1;
    if (word == "--quick") {
      arguments.settings.quick = true;
    } else if (word == "--row" && left >= 1) {
      arguments.rows.push_back(std::atoi(argv[++i]));
    } else if (word == "--json" && left >= 1) {
      arguments.json = argv[++i];
    } else if (word == "--measure" && left >= 2) {
      arguments.measure = std::atoi(argv[++i]);
      arguments.descriptor = std::atoi(argv[++i]);
    } else {
      arguments.good = false;
    }
  }
  return arguments;
}

Row failure(int number, const std::string& why) {
  Row row;
  row.number = number;
  row.what = "not measured";
  row.failed = true;
  row.note = "failed: " + why;
  return row;
}

// In the process of the row.
int measure(const Arguments& arguments) {
  // The processes that the library starts must not keep the stream open.
  ::fcntl(arguments.descriptor, F_SETFD, FD_CLOEXEC);
  Rows rows;
  const Measurement& measurement = measurements().at(static_cast<std::size_t>(arguments.measure));
  try {
    rows = measurement.run(arguments.settings);
  } catch (const std::exception& error) {
    rows = {failure(measurement.number, error.what())};
  }
  std::ostringstream bytes;
  cereal::BinaryOutputArchive archive(bytes);
  archive(rows);
  std::string text = bytes.str();
  ssize_t written = ::write(arguments.descriptor, text.data(), text.size());
  ::close(arguments.descriptor);
  return written == static_cast<ssize_t>(text.size()) ? 0 : 1;
}

// Everything up to the end of the stream, which is the end of the row's last process.
std::string read_until(int descriptor, std::chrono::steady_clock::time_point deadline, bool& late) {
  std::string bytes;
  late = false;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait{descriptor, POLLIN, 0};
    int ready = ::poll(&wait, 1, static_cast<int>(std::max<long>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      late = true;
      return bytes;
    }
    char buffer[4096];
    ssize_t got = ::read(descriptor, buffer, sizeof(buffer));
    if (got <= 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

// Starts the process of one row in a group of its own, whose leftovers are ended with it.
pid_t start_row(std::size_t index, bool quick, int descriptor) {
  constexpr int inherited = 3;
  std::string row = std::to_string(index);
  std::string fd = std::to_string(inherited);
  std::string name = "procession_bench", flag = "--measure", fast = "--quick";
  char* arguments[] = {
      name.data(), flag.data(), row.data(), fd.data(), quick ? fast.data() : nullptr, nullptr};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, descriptor, inherited);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error == 0 ? pid : -1;
}

Rows run_row(std::size_t index, const Settings& settings) {
  const int number = measurements()[index].number;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {failure(number, std::strerror(errno))};
  pid_t pid = start_row(index, settings.quick, ends[1]);
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return {failure(number, "the process of the row did not start")};
  }
  auto limit = std::chrono::seconds(settings.quick ? 60 : 300);
  bool late = false;
  std::string bytes = read_until(ends[0], std::chrono::steady_clock::now() + limit, late);
  ::close(ends[0]);
  if (late) ::kill(-pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::kill(-pid, SIGKILL);
  if (late) return {failure(number, "no result within " + std::to_string(limit.count()) + " s")};
  if (WIFSIGNALED(status)) {
    return {failure(number,
                    "the process of the row died of signal " + std::to_string(WTERMSIG(status)))};
  }
  Rows rows;
  try {
    std::istringstream stream(bytes);
    cereal::BinaryInputArchive archive(stream);
    archive(rows);
  } catch (const std::exception&) {
    return {failure(number, "the process of the row left no result, exit code " +
                                std::to_string(WEXITSTATUS(status)))};
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  // The floor of row 4: this binary, executed for nothing.
  if (argc == 2 && std::strcmp(argv[1], "--leave") == 0) ::_exit(0);
  Arguments arguments = parse(argc, argv);
  if (!arguments.good) {
    std::fputs(usage, stderr);
    return 2;
  }
  if (arguments.measure >= 0) return measure(arguments);

  print_header(std::cout);
  Rows all;
  for (std::size_t i = 0; i < measurements().size(); ++i) {
    const auto& chosen = arguments.rows;
    if (!chosen.empty() &&
        std::count(chosen.begin(), chosen.end(), measurements()[i].number) == 0) {
      continue;
    }
    for (const Row& row : run_row(i, arguments.settings)) {
      print_row(std::cout, row);
      all.push_back(row);
    }
  }
  print_end(std::cout, all);
  if (!arguments.json.empty()) write_json(arguments.json, all, arguments.settings.quick);
  return 0;
}
