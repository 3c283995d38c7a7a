// stdin, stdout, stderr and the end of a child: each in a process of its own, whose output is read.

#include <stdio.h>
#include <unistd.h>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessStreams : public EachMethod {
 protected:
  // What a scenario wrote to stdout; it must end with 0.
  std::string output(const std::string& scenario, const std::string& argument = "") {
    Helper helper({scenario, method_name(GetParam()), argument});
    EXPECT_EQ(helper.wait().code, 0) << helper.err();
    return helper.out();
  }
};
FOR_EACH_START_METHOD(ProcessStreams);

TEST_P(ProcessStreams, StdinIsEmpty) {
  Process process(options(), [] {
    char target[64] = {};
    if (::readlink("/proc/self/fd/0", target, sizeof target - 1) < 0) std::exit(2);
    if (std::string(target) != "/dev/null") std::exit(3);
    std::exit(::getchar() == EOF ? 42 : 4);
  });
  EXPECT_EQ(run(process), 42);
}

TEST_P(ProcessStreams, WhatTheChildPrintedIsFlushedAtItsEnd) {
  for (const char* end : {"return", "exit", "throw"}) {
    const std::string text = output("prints", end);
    EXPECT_EQ(count_of("printed by printf|", text), 1u) << end << ": " << text;
    EXPECT_EQ(count_of("printed by cout|", text), 1u) << end << ": " << text;
  }
}

TEST_P(ProcessStreams, WhatTheParentHasNotFlushedIsNotPrintedTwice) {
  for (const char* end : {"return", "exit", "throw"}) {
    const std::string text = output("prints_before", end);
    EXPECT_EQ(count_of("parent by printf|", text), 1u) << end << ": " << text;
    EXPECT_EQ(count_of("parent by cout|", text), 1u) << end << ": " << text;
    EXPECT_EQ(count_of("printed by printf|", text), 1u) << end << ": " << text;
    EXPECT_EQ(count_of("printed by cout|", text), 1u) << end << ": " << text;
  }
}

TEST_P(ProcessStreams, AFileOfTheParentIsNotWrittenTwice) {
  expect_scenario({"file_of_the_parent", method_name(GetParam())});
}

TEST_P(ProcessStreams, TheChildWritesToWhereTheParentWritesNow) {
  expect_scenario({"redirected", method_name(GetParam())});
}

TEST_P(ProcessStreams, AHostWithoutStandardStreamsCanStartProcesses) {
  expect_scenario({"without_streams", method_name(GetParam())});
}

TEST_P(ProcessStreams, ExitHandlersOfTheChildRunAndThoseOfTheParentDoNot) {
  for (const char* end : {"return", "exit"}) {
    const std::string text = output("exit_handlers", end);
    EXPECT_EQ(count_of("handler of the parent|", text), 1u) << end << ": " << text;
    EXPECT_EQ(count_of("handler of the child|", text), 1u) << end << ": " << text;
    EXPECT_LT(text.find("handler of the child"), text.find("handler of the parent"));
  }
}

}  // namespace
}  // namespace procession::process_test
