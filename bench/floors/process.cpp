#include "floors/process.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "measure.hpp"

extern char** environ;

namespace bench::floors {

double forks(int count) {
  std::vector<pid_t> pids(static_cast<std::size_t>(count));
  return seconds_of([&] {
    for (pid_t& pid : pids) {
      pid = ::fork();
      if (pid == 0) ::_exit(0);
      if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    }
    for (pid_t pid : pids) ::waitpid(pid, nullptr, 0);
  });
}

double bare_fork() {
  return seconds_of([] {
    const pid_t pid = ::_Fork();
    if (pid == 0) ::_exit(0);
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    ::waitpid(pid, nullptr, 0);
  });
}

double spawn() {
  std::string name = "procession_bench", leave = "--leave";
  char* arguments[] = {name.data(), leave.data(), nullptr};
  return seconds_of([&] {
    pid_t pid = 0;
    int error = ::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ);
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
    ::waitpid(pid, nullptr, 0);
  });
}

}  // namespace bench::floors
