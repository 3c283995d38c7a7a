// What a child says about an exception that nobody caught, and how loud the library is otherwise.

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ProcessUncaught : public EachMethod {
 protected:
  // What the helper wrote to stderr.
  std::string report(const std::string& what) {
    Helper helper({"uncaught", method_name(GetParam()), what});
    EXPECT_EQ(helper.wait().code, 0) << helper.err();
    return helper.err();
  }
};
FOR_EACH_START_METHOD(ProcessUncaught);

TEST_P(ProcessUncaught, IsReportedWithItsTypeItsTextAndWhereItWasThrown) {
  const std::string text = report("standard");
  EXPECT_THAT(text, HasSubstr("parser"));
  EXPECT_THAT(text, HasSubstr("std::runtime_error"));
  EXPECT_THAT(text, HasSubstr("the header is cut off"));
  EXPECT_THAT(text, HasSubstr("parse_header"));
  EXPECT_LT(text.find("parser"), text.find("parse_header")) << "headed by the process's name";
}

TEST_P(ProcessUncaught, OfAClassOfTheProgram) {
  const std::string text = report("own");
  EXPECT_THAT(text, HasSubstr("HeaderError"));
  EXPECT_THAT(text, HasSubstr("line 12"));
  EXPECT_THAT(text, HasSubstr("parse_header"));
}

TEST_P(ProcessUncaught, ThatIsNoStdException) {
  const std::string text = report("number");
  EXPECT_THAT(text, HasSubstr("parser"));
  EXPECT_THAT(text, HasSubstr("int"));
  EXPECT_THAT(text, HasSubstr("parse_header"));
}

TEST_P(ProcessUncaught, OfAGrandchildIsReportedOnce) {
  Helper helper({"uncaught_below", method_name(GetParam())});
  EXPECT_EQ(helper.wait().code, 0) << helper.err();
  EXPECT_EQ(count_of("the header is cut off", helper.err()), 1u) << helper.err();
}

// std::terminate() is no exception: the child dies by SIGABRT.
TEST_P(ProcessUncaught, InAThreadOfTheChildItIsAnAbort) {
  expect_scenario({"uncaught_in_a_thread", method_name(GetParam())});
}

TEST(ProcessNoise, AChildThatIsFineSaysNothing) {
  for (const char* method : {"Fork", "ForkServer", "Spawn"}) {
    Helper helper({"quiet", method});
    EXPECT_EQ(helper.wait().code, 0);
    EXPECT_EQ(helper.out(), "");
    EXPECT_EQ(helper.err(), "");
  }
}

TEST(ProcessNoise, ForkBesideThreadsWarnsOnce) {
  Helper helper({"fork_beside_a_thread"});
  EXPECT_EQ(helper.wait().code, 0) << helper.err();
  const std::string text = helper.err();
  EXPECT_EQ(count_of("\n", text), 1u) << text;
  EXPECT_THAT(text, HasSubstr("thread"));
  EXPECT_THAT(text, HasSubstr("first of two"));
  EXPECT_THAT(text, Not(HasSubstr("second of two")));
}

TEST(ProcessNoise, TheLoggerIsSilentBelowWarning) {
  Helper helper({"logger", "plain"});
  EXPECT_EQ(helper.wait().code, 0) << helper.err();
  EXPECT_THAT(helper.err(), Not(HasSubstr("a remark")));
  EXPECT_THAT(helper.err(), HasSubstr("a warning"));
}

TEST(ProcessNoise, LogToStderrShowsWhatItIsAskedFor) {
  Helper helper({"logger", "to_stderr"});
  EXPECT_EQ(helper.wait().code, 0) << helper.err();
  EXPECT_THAT(helper.err(), HasSubstr("a remark"));
  EXPECT_THAT(helper.err(), HasSubstr("MainProcess"));
}

}  // namespace
}  // namespace procession::process_test
