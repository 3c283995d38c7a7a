// The host program's own children and its SIGCHLD are its own.

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessHost : public EachMethod {
 protected:
  void expect_host(const std::string& scenario) {
    expect_scenario({scenario, method_name(GetParam())});
  }
};
FOR_EACH_START_METHOD(ProcessHost);

TEST_P(ProcessHost, MayIgnoreSigchld) { expect_host("ignores_sigchld"); }

TEST_P(ProcessHost, ThatIgnoresSigchldLearnsTheUsageToo) { expect_host("usage_without_sigchld"); }

TEST_P(ProcessHost, MayStartToIgnoreSigchldLater) { expect_host("ignores_sigchld_later"); }

TEST_P(ProcessHost, KeepsItsSigchldHandler) { expect_host("handles_sigchld"); }

TEST_P(ProcessHost, MayReapEverythingInItsSigchldHandler) {
  expect_host("reaps_all_in_its_handler");
}

TEST_P(ProcessHost, ReapsItsOwnChildrenItself) { expect_host("reaps_its_own"); }

TEST_P(ProcessHost, ThatWaitsForAnyChildMeetsOnlyItsOwn) {
  if (GetParam() == StartMethod::Fork) GTEST_SKIP() << "a copy of the host is its own child";
  expect_host("waits_for_any");
}

TEST_P(ProcessHost, MayWaitForAnyChildAllTheTime) { expect_host("waits_for_any_all_the_time"); }

TEST_P(ProcessHost, MayForkWhatUsesNothingOfTheLibrary) { expect_host("forks_beside"); }

}  // namespace
}  // namespace procession::process_test
