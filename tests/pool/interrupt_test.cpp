// The end of a program that has a pool: by Ctrl-C, or killed. No worker stays.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "support/child.hpp"

namespace procession::pool_test {
namespace {

using test_support::Child;
using test_support::Deadline;
using test_support::Pipe;

// pool_helper in a process group of its own, as a shell would start it.
class Program {
 public:
  explicit Program(const std::string& scenario)
      : child_(test_support::start_child([&] { become(scenario); })) {
    out_.close_write();
    err_.close_write();
    read_announcement();
  }

  pid_t pid() const { return child_.pid(); }
  const std::vector<Watched>& workers() const { return workers_; }
  test_support::ChildStatus wait() {
    return child_.wait(Deadline(patience)).value_or(test_support::ChildStatus{});
  }
  std::string errors() {
    std::string text;
    while (const auto letter = err_.receive<char>()) text += *letter;
    return text;
  }

 private:
  [[noreturn]] void become(const std::string& scenario) {
    ::setpgid(0, 0);
    ::dup2(out_.write_end(), STDOUT_FILENO);
    ::dup2(err_.write_end(), STDERR_FILENO);
    for (Pipe* pipe : {&out_, &err_}) {
      pipe->close_read();
      pipe->close_write();
    }
    ::execl(POOL_HELPER, POOL_HELPER, scenario.c_str(), nullptr);
    ::_exit(127);
  }

  void read_announcement() {
    std::string line;
    while (test_support::wait_readable(out_.read_end(), Deadline(patience))) {
      const auto letter = out_.receive<char>();
      if (!letter) break;
      if (*letter != '\n') {
        line += *letter;
        continue;
      }
      if (line == "ready") return;
      workers_.emplace_back(std::stoi(line));
      line.clear();
    }
    ADD_FAILURE() << "the helper is not ready: " << errors();
  }

  Pipe out_, err_;
  Child child_;
  std::vector<Watched> workers_;
};

// The scenario, the signal, and whether the whole group gets it, as by Ctrl-C.
using Way = std::tuple<const char*, int, bool>;
class PoolInterrupt : public ::testing::TestWithParam<Way> {};

TEST_P(PoolInterrupt, EndsTheProgramAndLeavesNoWorker) {
  const auto [scenario, signal, everybody] = GetParam();
  Program program(scenario);
  EXPECT_EQ(program.workers().size(), 3u);
  ASSERT_EQ(::kill(everybody ? -program.pid() : program.pid(), signal), 0);
  EXPECT_EQ(program.wait(), (test_support::ChildStatus{-1, signal}));
  for (const Watched& worker : program.workers()) EXPECT_TRUE(worker.ends());
  // Whoever holds the other end of stderr has ended too; and nobody had a tale to tell.
  const std::string errors = program.errors();
  EXPECT_LE(std::ranges::count(errors, '\n'), 1) << errors;
}

std::string way_name(const ::testing::TestParamInfo<Way>& test) {
  const auto [scenario, signal, everybody] = test.param;
  const char* signal_name = signal == SIGINT ? "Int" : signal == SIGTERM ? "Term" : "Kill";
  return std::string(scenario) + signal_name + (everybody ? "Group" : "Parent");
}

INSTANTIATE_TEST_SUITE_P(Ways, PoolInterrupt,
                         ::testing::Combine(::testing::Values("idle", "mapping", "streaming"),
                                            ::testing::Values(SIGINT, SIGTERM, SIGKILL),
                                            ::testing::Bool()),
                         way_name);

}  // namespace
}  // namespace procession::pool_test
