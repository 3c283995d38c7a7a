// What process_helper can do. Each scenario registers itself under the name that tests call it by.
//
// Example, in helpers/*.cpp:
//   const Scenario twice("twice", [](const Arguments& arguments) {
//     const StartMethod method = arguments.method(0);
//     require(start_again(method), "a second start works");
//   });
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "process/together.hpp"
#include "procession/errors.hpp"
#include "procession/process.hpp"

namespace procession::process_test {

class Arguments {
 public:
  explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {}
  const std::string& text(std::size_t index) const { return words_.at(index); }
  StartMethod method(std::size_t index) const;

 private:
  std::vector<std::string> words_;
};

class Scenario {
 public:
  Scenario(const char* name, std::function<void(const Arguments&)> run);
};

// Ends the program with 1 and a sentence when `held` is false.
void require(bool held, const std::string& what);
void require_equal(long got, long wanted, const std::string& what);

// Starts, joins; the exit code.
int run(Process& process);
// The same, with a new process that exits with `code`.
int run_exiting(StartMethod method, int code);

}  // namespace procession::process_test
