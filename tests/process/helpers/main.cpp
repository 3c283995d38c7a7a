// process_helper SCENARIO ARGUMENT...

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <stdexcept>
#include <utility>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

std::map<std::string, std::function<void(const Arguments&)>>& scenarios() {
  static std::map<std::string, std::function<void(const Arguments&)>> all;
  return all;
}

}  // namespace

Scenario::Scenario(const char* name, std::function<void(const Arguments&)> run) {
  scenarios()[name] = std::move(run);
}

StartMethod Arguments::method(std::size_t index) const {
  const std::string& name = text(index);
  if (name == "Fork") return StartMethod::Fork;
  if (name == "ForkServer") return StartMethod::ForkServer;
  if (name == "Spawn") return StartMethod::Spawn;
  throw std::invalid_argument(name + " is no start method");
}

void require(bool held, const std::string& what) {
  if (held) return;
  std::fprintf(stderr, "not so: %s\n", what.c_str());
  std::fflush(nullptr);
  ::_exit(1);  // and not std::exit(), which would wait for children that wait for this process
}

void require_equal(long got, long wanted, const std::string& what) {
  require(got == wanted,
          what + ": " + std::to_string(got) + " instead of " + std::to_string(wanted));
}

int run(Process& process) {
  process.start();
  process.join();
  return process.exitcode().value();
}

int run_exiting(StartMethod method, int code) {
  Process process(
      {.start_method = method}, [](int number) { std::exit(number); }, code);
  return run(process);
}

}  // namespace procession::process_test

int main(int argc, char** argv) {
  using namespace procession::process_test;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto found = words.empty() ? scenarios().end() : scenarios().find(words.front());
  if (found == scenarios().end()) {
    std::fprintf(stderr, "process_helper: no such scenario\n");
    return 2;
  }
  try {
    found->second(Arguments({words.begin() + 1, words.end()}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the scenario threw: %s\n", error.what());
    return 3;
  }
}
