#include "peers/python.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

extern char** environ;

namespace bench::peers {

namespace {

// Standard output of the script, or nothing unless it exited with 0.
std::optional<std::string> output_of(std::vector<std::string> command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t got = 0; error == 0 && (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 1;
  if (error == 0) ::waitpid(pid, &status, 0);
  return error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::optional(text)
                                                                     : std::nullopt;
}

}  // namespace

std::optional<std::vector<double>> python_numbers(const std::string& script,
                                                  const std::vector<std::string>& arguments,
                                                  const std::vector<std::string>& keys) {
  std::vector<std::string> command{"python3", std::string(PROCESSION_BENCH_PEERS "/") + script};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const auto text = output_of(command);
  if (!text) return std::nullopt;
  std::vector<double> numbers;
  for (const std::string& key : keys) {
    const std::string quoted = "\"" + key + "\": ";
    const auto at = text->find(quoted);
    if (at == std::string::npos) return std::nullopt;
    numbers.push_back(std::strtod(text->c_str() + at + quoted.size(), nullptr));
  }
  return numbers;
}

std::optional<double> python_rate(const std::string& script,
                                  const std::vector<std::string>& arguments) {
  const auto numbers = python_numbers(script, arguments, {"rate"});
  return numbers ? std::optional(numbers->front()) : std::nullopt;
}

}  // namespace bench::peers
