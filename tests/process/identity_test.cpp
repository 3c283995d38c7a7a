// Names, pids, and who is whose parent.

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessIdentity : public EachMethod {};
FOR_EACH_START_METHOD(ProcessIdentity);

bool holds(const std::vector<ProcessInfo>& list, const ProcessInfo& wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

TEST_P(ProcessIdentity, NamesCountPerProcessAndNest) {
  expect_scenario({"default_names", method_name(GetParam())});
}

TEST_P(ProcessIdentity, AGivenNameIsSeenByBothSides) {
  Mailbox mailbox;
  ProcessOptions named = options();
  named.name = "reader of things";
  Process process(
      named, [](std::string to) { post(to, current_process().name()); }, mailbox.path());
  EXPECT_EQ(process.name(), "reader of things");
  process.start();
  EXPECT_EQ(mailbox.receive(), "reader of things");
  EXPECT_EQ(exitcode_of(process), 0);
  EXPECT_EQ(process.name(), "reader of things");
}

TEST_P(ProcessIdentity, ANameSetBeforeTheStartIsTheChilds) {
  Mailbox mailbox;
  Process process(
      options(), [](std::string to) { post(to, current_process().name()); }, mailbox.path());
  process.set_name("renamed");
  EXPECT_EQ(process.name(), "renamed");
  process.start();
  EXPECT_EQ(mailbox.receive(), "renamed");
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessIdentity, ANameMayHoldAnything) {
  Mailbox mailbox;
  ProcessOptions named = options();
  named.name = std::string(60, 'n') + " \"%s\" {} \xc3\xa9";
  Process process(
      named, [](std::string to) { post(to, current_process().name()); }, mailbox.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), named.name);
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST(ProcessIdentityOfTheRoot, ItIsTheMainProcessAndHasNoParent) {
  EXPECT_EQ(current_process(), ProcessInfo("MainProcess", ::getpid(), false));
  EXPECT_EQ(parent_process(), std::nullopt);
  EXPECT_TRUE(active_children().empty());
}

TEST_P(ProcessIdentity, AChildKnowsItselfAndItsParent) {
  Mailbox mailbox;
  ProcessOptions daemon = options();
  daemon.daemon = true;
  daemon.name = "child";
  Process process(
      daemon,
      [](std::string to) {
        const ProcessInfo self = current_process();
        post(to, self.name() + (self.pid() == ::getpid() ? " me" : " not me") +
                     (self.daemon() ? " daemon" : ""));
        const ProcessInfo parent = parent_process().value();
        post(to, parent.name() + " " + std::to_string(parent.pid()) +
                     (parent.daemon() ? " daemon" : ""));
      },
      mailbox.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "child me daemon");
  EXPECT_EQ(mailbox.receive(), "MainProcess " + std::to_string(::getpid()));
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessIdentity, TheParentOfAGrandchildIsTheChild) {
  Mailbox mailbox;
  ProcessOptions named = options();
  named.name = "middle";
  Process process(
      named,
      [](StartMethod method, std::string to) {
        post(to, std::to_string(::getpid()));
        Process inner(
            {.start_method = method},
            [](std::string there) {
              const ProcessInfo parent = parent_process().value();
              post(there, parent.name());
              post(there, std::to_string(parent.pid()));
            },
            to);
        inner.start();
        inner.join();
      },
      GetParam(), mailbox.path());
  process.start();
  const std::string pid = mailbox.receive();
  EXPECT_EQ(mailbox.receive(), "middle");
  EXPECT_EQ(mailbox.receive(), pid);
  EXPECT_EQ(exitcode_of(process), 0);
}

TEST_P(ProcessIdentity, ActiveChildrenAreThoseThatRun) {
  Gate gate;
  ProcessOptions named = options();
  named.name = "first";
  Process first(named, pass, gate.path());
  named.name = "second";
  named.daemon = true;
  Process second(named, pass, gate.path());
  EXPECT_TRUE(active_children().empty());
  first.start();
  second.start();
  EXPECT_EQ(active_children().size(), 2u);
  EXPECT_TRUE(holds(active_children(), ProcessInfo("first", first.pid(), false)));
  EXPECT_TRUE(holds(active_children(), ProcessInfo("second", second.pid(), true)));
  first.kill();
  ASSERT_TRUE(test_support::wait_readable(first.sentinel(), Deadline(patience)));
  EXPECT_EQ(active_children().size(), 1u);  // ended, though not joined
  EXPECT_EQ(exitcode_of(first), -9);
  gate.open();
  EXPECT_EQ(exitcode_of(second), 0);
  EXPECT_TRUE(active_children().empty());
}

TEST_P(ProcessIdentity, AChildStartsWithoutActiveChildren) {
  Gate gate;
  Process sibling(options(), pass, gate.path());
  sibling.start();
  Process process(options(), [] { std::exit(static_cast<int>(active_children().size())); });
  EXPECT_EQ(run(process), 0);
  gate.open();
  EXPECT_EQ(exitcode_of(sibling), 0);
}

TEST_P(ProcessIdentity, ADaemonMayHaveChildren) {
  ProcessOptions daemon = options();
  daemon.daemon = true;
  Process process(
      daemon,
      [](StartMethod method) {
        Process inner({.start_method = method}, [] { std::exit(5); });
        inner.start();
        inner.join();
        std::exit(inner.exitcode().value() + 1);
      },
      GetParam());
  EXPECT_EQ(run(process), 6);
}

TEST_P(ProcessIdentity, AllMethodsWorkBelowEachOther) {
  for (const StartMethod inner : get_all_start_methods()) {
    Process process(
        options(),
        [](StartMethod method) {
          Process below({.start_method = method}, [] { std::exit(5); });
          below.start();
          below.join();
          std::exit(below.exitcode().value() + 1);
        },
        inner);
    EXPECT_EQ(run(process), 6) << method_name(inner);
  }
}

}  // namespace
}  // namespace procession::process_test
