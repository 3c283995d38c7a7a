#include "support/supervisor.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "support/child.hpp"
#include "support/tree.hpp"

namespace procession::test_support {
namespace {

constexpr const char* supervisor_variable = "PROCESSION_TEST_SUPERVISOR";
constexpr std::chrono::seconds end_of_orphans{10};
// TMPDIR is for everybody, TEST_TMPDIR for GoogleTest.
constexpr const char* temporary_variables[] = {"TMPDIR", "TEST_TMPDIR"};
pid_t supervisor = 0;

bool has_argument(int argc, char** argv, std::string_view text) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]).find(text) != std::string_view::npos) return true;
  }
  return false;
}

bool is_traced() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:"))
      return line.substr(10).find_first_not_of("\t 0") != line.npos;
  }
  return false;
}

// True in the program that a supervisor has started.
bool adopt_role() {
  const char* value = ::getenv(supervisor_variable);
  if (value == nullptr) return false;
  supervisor = static_cast<pid_t>(std::atoi(value));
  ::unsetenv(supervisor_variable);  // a test may start this program again, on its own account
  if (supervisor != ::getppid()) {
    // The supervisor died between the two lines of start_program().
    std::fprintf(stderr, "the supervisor of this test program is gone\n");
    ::_exit(1);
  }
  return true;
}

[[noreturn]] void start_program(char** argv, pid_t parent, const std::string& folder) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setenv(supervisor_variable, std::to_string(parent).c_str(), 1);
  for (const char* name : temporary_variables) ::setenv(name, folder.c_str(), 1);
  ::execv("/proc/self/exe", argv);
  std::perror("cannot start the test program below its supervisor");
  ::_exit(127);
}

// Reaps until `stop` has ended, or, with 0, until there is no child left; false at the deadline.
bool reap(pid_t stop, int* stop_status, const std::optional<Deadline>& deadline) {
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_ended, nullptr);
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0) return true;
    if (pid == stop && stop != 0) {
      *stop_status = status;
      return true;
    }
    if (pid > 0) continue;
    if (!deadline) {
      ::sigwaitinfo(&child_ended, nullptr);
      continue;
    }
    const auto left = deadline->remaining();
    if (left.count() == 0) return false;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{seconds.count(), (left - seconds).count()};
    ::sigtimedwait(&child_ended, nullptr, &limit);
  }
}

// After a crash of the program nobody is left to end what it had started.
int end_orphans(bool crashed) {
  const auto patience = crashed ? std::chrono::seconds{0} : end_of_orphans;
  if (reap(0, nullptr, Deadline(patience))) return 0;
  for (const ProcessEntry& orphan : descendants(all_processes(), ::getpid())) {
    std::fprintf(stderr, "left behind after the end of the test program: process %d (%s)\n",
                 orphan.pid, describe(orphan).c_str());
    ::kill(orphan.pid, SIGKILL);
  }
  reap(0, nullptr, Deadline(end_of_orphans));
  return 1;
}

}  // namespace

void run_supervised(int argc, char** argv) {
  if (adopt_role()) return;
  if (::getenv("PROCESSION_TEST_UNSUPERVISED") != nullptr) return;
  if (has_argument(argc, argv, "gtest_list_tests")) return;
  if (has_argument(argc, argv, "gtest_internal_run_death_test")) return;
  if (is_traced()) return;

  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t self = ::getpid();
  std::string folder = std::filesystem::temp_directory_path() / temporary_folder_prefix;
  folder += "XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("cannot make a folder for the test program's temporary files");
    ::_exit(127);
  }
  ::chmod(folder.c_str(), 0755);  // a test may change its user
  const pid_t program = ::fork();
  if (program < 0) {
    std::perror("cannot fork the test program");
    ::_exit(127);
  }
  if (program == 0) start_program(argv, self, folder);

  // The terminal sends these to both; the program decides what they mean.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  reap(program, &status, std::nullopt);
  const int orphans = end_orphans(WIFSIGNALED(status));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (WIFSIGNALED(status)) {
    std::fprintf(stderr, "the test program was killed by signal %d (%s)\n", WTERMSIG(status),
                 ::strsignal(WTERMSIG(status)));
    ::_exit(128 + WTERMSIG(status));
  }
  ::_exit(WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : orphans);
}

pid_t supervisor_pid() { return supervisor; }

std::string temporary_folder() {
  const char* folder = supervisor != 0 ? ::getenv(temporary_variables[0]) : nullptr;
  return folder != nullptr ? folder : "";
}

}  // namespace procession::test_support
