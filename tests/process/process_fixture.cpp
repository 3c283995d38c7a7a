#include "process/process_fixture.hpp"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

namespace procession::process_test {
namespace {

[[noreturn]] void become_helper(const std::vector<std::string>& arguments,
                                const std::map<std::string, std::string>& environment,
                                const std::string& out, const std::string& err) {
  const auto redirect = [](const std::string& path, int to) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || ::dup2(file, to) < 0) ::_exit(126);
  };
  redirect(out, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv{const_cast<char*>(PROCESS_HELPER)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(PROCESS_HELPER, argv.data());
  ::_exit(127);
}

}  // namespace

std::string method_name(StartMethod method) {
  switch (method) {
    case StartMethod::Fork:
      return "Fork";
    case StartMethod::ForkServer:
      return "ForkServer";
    case StartMethod::Spawn:
      return "Spawn";
  }
  return "";
}

std::optional<int> exitcode_of(Process& process) {
  if (!process.join(patience)) {
    ADD_FAILURE() << process.name() << " does not end";
    process.kill();
    process.join();
    return std::nullopt;
  }
  return process.exitcode();
}

std::optional<int> run(Process& process) {
  process.start();
  return exitcode_of(process);
}

bool eventually(const std::function<bool()>& condition) {
  const Deadline deadline(patience);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::sched_yield();
  }
  return true;
}

Helper::Helper(const std::vector<std::string>& arguments,
               const std::map<std::string, std::string>& environment)
    : out_(unique_path("out")), err_(unique_path("err")), child_(test_support::start_child([&] {
        become_helper(arguments, environment, out_, err_);
      })) {}

Helper::~Helper() {
  ::unlink(out_.c_str());
  ::unlink(err_.c_str());
}

bool Helper::running() const { return !Watched(pid()).has_ended(); }

test_support::ChildStatus Helper::wait() {
  return child_.wait(Deadline(2 * patience)).value_or(test_support::ChildStatus{});
}

void expect_scenario(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& environment) {
  Helper helper(arguments, environment);
  const auto status = helper.wait();
  EXPECT_EQ(status.code, 0) << "killed by signal " << status.signal << "; stderr:\n"
                            << helper.err();
}

Watched::Watched(pid_t pid) : pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

Watched::~Watched() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool Watched::ends() const {
  return pidfd_ < 0 || test_support::wait_readable(pidfd_, Deadline(patience));
}

bool Watched::has_ended() const {
  return pidfd_ < 0 || test_support::wait_readable(pidfd_, Deadline(0s));
}

std::size_t count_of(const std::string& part, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace procession::process_test
