#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

std::set<int> descriptors() {
  std::set<int> open;
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return open;
  while (const dirent* entry = ::readdir(folder)) {
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != ::dirfd(folder)) open.insert(number);
  }
  ::closedir(folder);
  for (const int kept : detail::service_descriptors()) open.erase(kept);
  return open;
}

// In this process and in those that the library keeps.
void limit_processes(rlim_t most) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NPROC, &limit);
  limit.rlim_cur = most;
  require_equal(::setrlimit(RLIMIT_NPROC, &limit), 0, "setrlimit");
  for (const pid_t pid : detail::service_processes()) {
    require_equal(::prlimit(pid, RLIMIT_NPROC, &limit, nullptr), 0, "prlimit");
  }
}

void limit_descriptors(rlim_t most) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = most;
  require_equal(::setrlimit(RLIMIT_NOFILE, &limit), 0, "setrlimit");
}

void require_unstarted(const Process& process, std::size_t others = 0) {
  require_equal(process.pid(), 0, "pid after a failed start");
  require(process.state() == ProcessState::New, "state after a failed start");
  require(active_children().size() == others, "no child after a failed start");
}

// Starts with the limits as they are; true if it worked, and false if the kernel said `code`.
bool try_start(Process& process, int code) {
  try {
    process.start();
    return true;
  } catch (const SystemError& error) {
    require_equal(error.code(), code, std::string("code() of: ") + error.what());
    require(!error.phase().empty(), "phase()");
    require_unstarted(process);
    return false;
  }
}

const Scenario no_processes("no_processes", [](const Arguments& arguments) {
  const StartMethod method = arguments.method(0);
  // A user of this process's own, so that its processes are the only ones that count.
  require_equal(::setuid(static_cast<uid_t>(1'000'000 + ::getpid())), 0, "setuid");
  if (arguments.text(1) == "warm") require_equal(run_exiting(method, 3), 3, "a first process");
  rlimit before{};
  ::getrlimit(RLIMIT_NPROC, &before);
  (void)current_process();  // the memory of the family is made by now
  const std::set<int> open = descriptors();
  Process process({.start_method = method}, [] { std::exit(5); });
  for (int attempt = 0; attempt < 3; ++attempt) {
    limit_processes(1);
    require(!try_start(process, EAGAIN), "the start is refused");
    require(descriptors() == open, "no descriptor is left");
  }
  limit_processes(before.rlim_cur);
  require_equal(run(process), 5, "exit code of the same process, started again");
});

const Scenario no_descriptors("no_descriptors", [](const Arguments& arguments) {
  const StartMethod method = arguments.method(0);
  if (arguments.text(1) == "warm") require_equal(run_exiting(method, 3), 3, "a first process");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  (void)current_process();
  // With every number of descriptors left, from none to plenty: it works or is refused.
  int refused = 0;
  bool worked = false;
  for (rlim_t left = 0; !worked; ++left) {
    require(left < 40, "40 descriptors are enough");
    const std::set<int> open = descriptors();
    const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(lowest);
    Process process({.start_method = method}, [] { std::exit(5); });
    limit_descriptors(static_cast<rlim_t>(lowest) + left);
    worked = try_start(process, EMFILE);
    limit_descriptors(before.rlim_cur);
    refused += !worked;
    if (!worked) {
      const std::set<int> after = descriptors();
      require_equal(static_cast<long>(after.size()), static_cast<long>(open.size()),
                    "descriptors after a start with " + std::to_string(left) + " left");
      process.start();
    }
    process.join();
    require_equal(process.exitcode().value(), 5,
                  (worked ? "exit code of a start with " : "exit code after a start with ") +
                      std::to_string(left) + " descriptors left");
    if (arguments.text(1) == "cold" && !worked) break;  // it is warm now
  }
  require(refused > 0, "a start without descriptors is refused");
});

const Scenario names_the_process("names_the_process", [](const Arguments& arguments) {
  require_equal(run_exiting(arguments.method(0), 3), 3, "a first process");
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  Process process({.name = "reader", .start_method = arguments.method(0)}, [] {});
  limit_descriptors(3);
  std::string text = "it has started";
  try {
    process.start();
  } catch (const SystemError& error) {
    text = error.what();
  }
  limit_descriptors(before.rlim_cur);
  require(text.find("reader") != std::string::npos, "\"reader\" is in: " + text);
});

const Scenario large_argument("large_argument", [](const Arguments& arguments) {
  const StartMethod method = arguments.method(0);
  Process process(
      {.start_method = method}, [](std::vector<char>) {}, std::vector<char>(std::size_t{64} << 20));
  for (int attempt = 0; attempt < 3; ++attempt) {
    try {
      process.start();
      require(false, "it has started");
    } catch (const OutOfMemory& error) {
      require(std::string(error.what()).find("PROCESSION_MEMORY_LIMIT") != std::string::npos ||
                  std::string(error.what()).find("set_memory_limit") != std::string::npos,
              std::string("the remedy in: ") + error.what());
    }
    require_unstarted(process);
  }
  require_equal(run_exiting(method, 5), 5, "a process that fits");
});

// Each holds a megabyte until it ends. Whatever does not fit is refused and leaves the rest alone.
const Scenario many_arguments("many_arguments", [](const Arguments& arguments) {
  Gate gate;
  std::vector<Process> all;
  for (int i = 0; i < 24; ++i) {
    Process process(
        {.start_method = arguments.method(0)},
        [](std::string at, std::vector<char> block) {
          pass(at);
          std::exit(block.size() == std::size_t{1} << 20 ? 5 : 6);
        },
        gate.path(), std::vector<char>(std::size_t{1} << 20));
    try {
      process.start();
      all.push_back(std::move(process));
    } catch (const OutOfMemory&) {
      require_unstarted(process, all.size());
    }
  }
  gate.open();
  for (Process& process : all) {
    process.join();
    require_equal(process.exitcode().value(), 5, "exit code");
  }
  for (int i = 0; i < 24; ++i) require_equal(run_exiting(arguments.method(0), 5), 5, "afterwards");
});

}  // namespace
}  // namespace procession::process_test
