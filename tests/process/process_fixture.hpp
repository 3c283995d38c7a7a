// Tests over the start methods, and runs of the helper program.
//
// Example:
//   class ProcessLife : public EachMethod {};
//   FOR_EACH_START_METHOD(ProcessLife);
//   TEST_P(ProcessLife, AReturningTargetExitsWithZero) {
//     Process process(options(), [] {});
//     process.start();
//     EXPECT_EQ(exitcode_of(process), 0);
//   }
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "process/together.hpp"
#include "procession/errors.hpp"
#include "procession/process.hpp"
#include "support/fixture.hpp"

namespace procession::process_test {

using namespace std::chrono_literals;
using test_support::Deadline;

// How long something that is bound to happen may take before the test calls it a failure.
inline constexpr std::chrono::seconds patience{20};

std::string method_name(StartMethod method);

class EachMethod : public ::testing::TestWithParam<StartMethod> {
 protected:
  ProcessOptions options() const { return {.start_method = GetParam()}; }
};

#define FOR_EACH_START_METHOD(suite)                                                     \
  INSTANTIATE_TEST_SUITE_P(                                                              \
      Methods, suite,                                                                    \
      ::testing::Values(StartMethod::Fork, StartMethod::ForkServer, StartMethod::Spawn), \
      [](const auto& test) { return method_name(test.param); })

// Joins. None, and the process killed, when it does not end.
std::optional<int> exitcode_of(Process& process);
// Starts, joins.
std::optional<int> run(Process& process);

// Whether `condition` comes true in time, asked again and again: for what only the scheduler knows.
bool eventually(const std::function<bool()>& condition);

// What the call throws must be an E that explains itself: a sentence that holds each of `words`.
template <class E, class F>
void expect_error(F&& call, const std::vector<std::string>& words = {}) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const E& error) {
    const std::string text = error.what();
    EXPECT_GT(text.size(), 20u) << text;
    for (const std::string& word : words) EXPECT_THAT(text, ::testing::HasSubstr(word));
  }
}

// The helper program, running. Killed by the destructor when it still does.
class Helper {
 public:
  explicit Helper(const std::vector<std::string>& arguments,
                  const std::map<std::string, std::string>& environment = {});
  ~Helper();

  pid_t pid() const { return child_.pid(); }
  void kill(int signal) const { child_.kill(signal); }
  bool running() const;
  test_support::ChildStatus wait();  // code -1, signal 0: it did not end
  std::string out() const { return read_whole(out_); }
  std::string err() const { return read_whole(err_); }

 private:
  std::string out_, err_;
  test_support::Child child_;
};

// Runs a scenario to its end, which is to be exit code 0. What it wrote to stderr is shown if not.
void expect_scenario(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& environment = {});

// Some process, held by what outlives its pid. One that is gone by now counts as ended.
class Watched {
 public:
  explicit Watched(pid_t pid);
  ~Watched();
  Watched(const Watched&) = delete;
  bool ends() const;       // in time
  bool has_ended() const;  // by now

 private:
  int pidfd_;
};

// How often `part` occurs in `text`.
std::size_t count_of(const std::string& part, const std::string& text);

}  // namespace procession::process_test
