#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "process/helpers/scenario.hpp"

namespace procession::process_test {
namespace {

void end_by(const std::string& way) {
  if (way == "exit") std::exit(0);
  if (way == "throw") throw std::runtime_error("on purpose");
}

void print(std::string way) {
  std::printf("printed by printf|");
  std::cout << "printed by cout|";
  end_by(way);
}

void run_printing(const Arguments& arguments) {
  Process process({.start_method = arguments.method(0)}, print, arguments.text(1));
  require_equal(run(process), arguments.text(1) == "throw" ? 1 : 0, "exit code");
}

const Scenario prints("prints", run_printing);

const Scenario prints_before("prints_before", [](const Arguments& arguments) {
  std::ios::sync_with_stdio(false);  // so that std::cout has a buffer of its own
  std::printf("parent by printf|");
  std::cout << "parent by cout|";
  run_printing(arguments);
});

const Scenario file_of_the_parent("file_of_the_parent", [](const Arguments& arguments) {
  const std::string path = unique_path("log");
  std::FILE* log = std::fopen(path.c_str(), "w");
  std::fputs("begun|", log);
  require_equal(run_exiting(arguments.method(0), 0), 0, "a child that exits");
  Process returning({.start_method = arguments.method(0)}, [] {});
  require_equal(run(returning), 0, "a child that returns");
  std::fclose(log);
  const std::string text = read_whole(path);
  ::unlink(path.c_str());
  require(text == "begun|", "the file holds " + text);
});

const Scenario redirected("redirected", [](const Arguments& arguments) {
  require_equal(run_exiting(arguments.method(0), 0), 0, "the first child");
  const std::string paths[] = {unique_path("out"), unique_path("err")};
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    const int file = ::open(paths[stream - 1].c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::dup2(file, stream);
    ::close(file);
  }
  Process second({.start_method = arguments.method(0)}, [] {
    std::printf("to stdout");
    std::fprintf(stderr, "to stderr");
  });
  require_equal(run(second), 0, "the second child");
  const std::string out = read_whole(paths[0]), err = read_whole(paths[1]);
  for (const std::string& path : paths) ::unlink(path.c_str());
  require(out == "to stdout" && err == "to stderr", "printed: " + out + " and " + err);
});

const Scenario without_streams("without_streams", [](const Arguments& arguments) {
  for (const int stream : {0, 1, 2}) ::close(stream);
  Process process({.start_method = arguments.method(0)}, [] {
    std::cout << std::string(100'000, '.') << std::flush;  // goes nowhere, and disturbs nobody
    std::cerr << std::string(100'000, '.') << std::flush;
    std::exit(std::getchar() == EOF ? 42 : 43);
  });
  if (run(process) != 42) std::exit(10);
  Process below(
      {.start_method = arguments.method(0)},
      [](StartMethod method) { std::exit(run_exiting(method, 5)); }, arguments.method(0));
  if (run(below) != 5) std::exit(11);
});

const Scenario exit_handlers("exit_handlers", [](const Arguments& arguments) {
  std::atexit([] { std::printf("handler of the parent|"); });
  Process process(
      {.start_method = arguments.method(0)},
      [](std::string way) {
        std::atexit([] { std::printf("handler of the child|"); });
        end_by(way);
      },
      arguments.text(1));
  require_equal(run(process), 0, "exit code");
});

}  // namespace
}  // namespace procession::process_test
