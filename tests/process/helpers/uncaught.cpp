#include <signal.h>
#include <spdlog/logger.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "process/helpers/scenario.hpp"
#include "procession/log.hpp"

namespace procession::process_test {

struct HeaderError : std::logic_error {
  using std::logic_error::logic_error;
};

[[gnu::noinline]] void parse_header(const std::string& what) {
  if (what == "standard") throw std::runtime_error("the header is cut off");
  if (what == "own") throw HeaderError("line 12");
  if (what == "number") throw 12;
}

namespace {

void parse(std::string what) {
  parse_header(what);
  parse_header("no more");  // the first call is not the last: it keeps its place on the stack
}

const Scenario uncaught("uncaught", [](const Arguments& arguments) {
  Process process({.name = "parser", .start_method = arguments.method(0)}, parse,
                  arguments.text(1));
  require_equal(run(process), 1, "exit code");
});

const Scenario uncaught_below("uncaught_below", [](const Arguments& arguments) {
  Process process(
      {.start_method = arguments.method(0)},
      [](StartMethod method) {
        Process inner({.start_method = method}, parse, "standard");
        require_equal(run(inner), 1, "the inner exit code");
      },
      arguments.method(0));
  require_equal(run(process), 0, "the outer exit code");
});

const Scenario in_a_thread("uncaught_in_a_thread", [](const Arguments& arguments) {
  Process process({.start_method = arguments.method(0), .limits = {.core_dump = 0}},
                  [] { std::thread(parse, "standard").join(); });
  require_equal(run(process), -SIGABRT, "exit code");
});

const Scenario quiet("quiet", [](const Arguments& arguments) {
  require_equal(run_exiting(arguments.method(0), 3), 3, "exit code");
});

const Scenario fork_beside_a_thread("fork_beside_a_thread", [](const Arguments&) {
  std::atomic<bool> done{false};
  std::thread thread([&] { done.wait(false); });
  for (const char* name : {"first of two", "second of two"}) {
    Process process({.name = name, .start_method = StartMethod::Fork}, [] {});
    require_equal(run(process), 0, "exit code");
  }
  done = true;
  done.notify_all();
  thread.join();
});

const Scenario logger("logger", [](const Arguments& arguments) {
  if (arguments.text(0) == "to_stderr") log_to_stderr();
  require(get_logger()->name() == "procession", "its name");
  get_logger()->info("a remark");
  get_logger()->warn("a warning");
});

}  // namespace
}  // namespace procession::process_test
