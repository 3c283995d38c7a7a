// What the kernel refuses at a start: SystemError, nothing left behind, and the next start works.

#include <cerrno>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessStartFailure : public EachMethod {
 protected:
  std::string method() const { return method_name(GetParam()); }
};
FOR_EACH_START_METHOD(ProcessStartFailure);

TEST_P(ProcessStartFailure, NoProcessLeftForTheFirstStart) {
  expect_scenario({"no_processes", method(), "cold"});
}

TEST_P(ProcessStartFailure, NoProcessLeftForALaterStart) {
  expect_scenario({"no_processes", method(), "warm"});
}

TEST_P(ProcessStartFailure, TheErrorNamesTheProcess) {
  expect_scenario({"names_the_process", method()});
}

TEST_P(ProcessStartFailure, NoDescriptorLeftForTheFirstStart) {
  expect_scenario({"no_descriptors", method(), "cold"});
}

TEST_P(ProcessStartFailure, NoDescriptorLeftForALaterStart) {
  expect_scenario({"no_descriptors", method(), "warm"});
}

TEST_P(ProcessStartFailure, ACpuThatTheMachineDoesNotHave) {
  ProcessOptions elsewhere = options();
  elsewhere.name = "reader";
  elsewhere.cpus = {4095};
  Process process(elsewhere, [] {});
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      process.start();
      FAIL() << "it has started";
    } catch (const SystemError& error) {
      EXPECT_EQ(error.code(), EINVAL);
      EXPECT_NE(error.phase(), "");
      EXPECT_THAT(error.what(), ::testing::HasSubstr("reader"));
    }
    EXPECT_EQ(process.pid(), 0);
    EXPECT_EQ(process.state(), ProcessState::New);
    EXPECT_EQ(process.exitcode(), std::nullopt);
    EXPECT_TRUE(active_children().empty());
  }
}

TEST_P(ProcessStartFailure, CpuNumbersThatAreNone) {
  for (const int cpu : {-1, 1 << 20}) {
    ProcessOptions elsewhere = options();
    elsewhere.cpus = {cpu};
    Process process(elsewhere, [] {});
    EXPECT_ANY_THROW(process.start()) << cpu;
    EXPECT_EQ(process.state(), ProcessState::New);
  }
}

TEST_P(ProcessStartFailure, AnArgumentLargerThanTheFamilyMemory) {
  if (GetParam() == StartMethod::Fork) GTEST_SKIP() << "nothing is written";
  expect_scenario({"large_argument", method()}, {{"PROCESSION_MEMORY_LIMIT", "8388608"}});
}

TEST_P(ProcessStartFailure, ManyProcessesInASmallFamilyMemory) {
  expect_scenario({"many_arguments", method()}, {{"PROCESSION_MEMORY_LIMIT", "8388608"}});
}

}  // namespace
}  // namespace procession::process_test
