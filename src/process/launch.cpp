#include "process/launch.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "memory/family.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"

// clone() itself, of glibc and musl. ThreadSanitizer replaces the name without underscores by one
// that takes every clone for a fork and makes the child's copy of its state that of a forked
// process; here the child has no copy, and the caller's threads would be watched no more.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument,
                       ...) noexcept;

namespace procession::detail {
namespace {

// posix_spawn's objects, with their errors.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // The child begins as after a login: no signal blocked, every signal with its default.
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void keep(int fd) {
    if (fd >= 0) posix_spawn_file_actions_adddup2(&actions_, fd, fd);
  }
  void become(int fd, int number) {
    if (fd >= 0) posix_spawn_file_actions_adddup2(&actions_, fd, number);
  }
  void directory(int fd) {
    if (fd >= 0) posix_spawn_file_actions_addfchdir_np(&actions_, fd);
  }
  void null_input() {
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  int run(pid_t& pid, char* const* arguments, char* const* environment) {
    return posix_spawn(&pid, "/proc/self/exe", &actions_, &attributes_, arguments, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// The name that the program was started under.
const std::string& program_name() {
  // Also asked for by the last of the exit handlers, so it is never destroyed.
  static const std::string& name = *new std::string([] {
    std::ifstream file("/proc/self/cmdline");
    std::string first;
    std::getline(file, first, '\0');
    return first.empty() ? std::string("procession") : first;
  }());
  return name;
}

struct Environment {
  std::vector<std::string> own;
  std::vector<char*> words;

  Environment(const Launch& what) {
    own.push_back(std::string(inheritance_variable) + "=" + std::to_string(family_descriptor()) +
                  "," + std::to_string(what.channel) + "," + std::to_string(what.slot) + "," +
                  std::to_string(what.generation) + "," + std::to_string(what.life) + "," +
                  std::to_string(what.report) + "," + std::to_string(keeper_sockets().asking) +
                  "," + std::to_string(keeper_sockets().answering) + "," +
                  (what.keeper ? "1" : "0"));
    if (what.environment != nullptr) {
      for (const auto& [name, value] : *what.environment) own.push_back(name + "=" + value);
    }
    for (char** word = environ; *word != nullptr; ++word) {
      if (!replaced(*word)) words.push_back(*word);
    }
    for (std::string& word : own) words.push_back(word.data());
    words.push_back(nullptr);
  }

 private:
  [[nodiscard]] bool replaced(std::string_view word) const {
    const std::string_view name = word.substr(0, word.find('=') + 1);
    for (const std::string& mine : own) {
      if (std::string_view(mine).starts_with(name)) return true;
    }
    return false;
  }
};

int spawn(const Launch& what, Environment& environment, SpawnPlan& plan, pid_t& pid) {
  plan.keep(family_descriptor());
  plan.keep(keeper_sockets().asking);
  plan.keep(keeper_sockets().answering);
  plan.keep(what.channel);
  plan.keep(what.life);
  plan.keep(what.report);
  plan.null_input();
  plan.directory(what.directory);
  plan.become(what.output, STDOUT_FILENO);
  plan.become(what.error, STDERR_FILENO);
  std::string name = program_name();
  char* arguments[] = {name.data(), nullptr};
  return plan.run(pid, arguments, environment.words.data());
}

struct Hidden {
  const Launch* what;
  Environment* environment;
  SpawnPlan* plan;
  int error;
};

// Runs in a process that shares this one's memory and is over at once; what it starts is then
// nobody's child.
int start_and_leave(void* argument) {
  auto* hidden = static_cast<Hidden*>(argument);
  pid_t pid = 0;
  hidden->error = spawn(*hidden->what, *hidden->environment, *hidden->plan, pid);
  return 0;
}

[[noreturn]] void throw_exec(int error) {
  throw SystemError(error, "exec",
                    "cannot execute the program again (exec of " + program_name() +
                        "): " + std::strerror(error) + " (" + error_name(error) + ")");
}

}  // namespace

pid_t launch(const Launch& what) {
  Environment environment(what);
  SpawnPlan plan;
  pid_t pid = 0;
  if (const int error = spawn(what, environment, plan, pid); error != 0) throw_exec(error);
  return pid;
}

void launch_hidden(const Launch& what) {
  Environment environment(what);
  SpawnPlan plan;
  Hidden hidden{&what, &environment, &plan, 0};
  constexpr std::size_t stack_bytes = 256 << 10;
  void* stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) throw_system_error(errno, "map a stack to start the fork server");
  (void)program_name();  // read before memory is shared
  // A handler must not run in the process that shares our memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  // Without an exit signal, not even this short-lived process is seen by the program's waits.
  const pid_t pid = __clone(start_and_leave, static_cast<std::byte*>(stack) + stack_bytes,
                            CLONE_VM | CLONE_VFORK, &hidden);
  const int error = pid < 0 ? errno : hidden.error;
  if (pid > 0) {
    while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, stack_bytes);
  if (pid < 0) throw_system_error(error, "fork");
  if (error != 0) throw_exec(error);
}

}  // namespace procession::detail
