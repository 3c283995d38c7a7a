// What happens to children when their parent ends, by itself or not.

#include <signal.h>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessFamily : public EachMethod {
 protected:
  std::string method() const { return method_name(GetParam()); }
};
FOR_EACH_START_METHOD(ProcessFamily);

TEST_P(ProcessFamily, AParentThatEndsTerminatesDaemonsAndJoinsTheOthers) {
  for (const char* end : {"return", "leak", "exit"}) {
    SCOPED_TRACE(end);
    Mailbox mailbox;
    Gate gate, never;
    Helper root({"ends_by_itself", method(), end, mailbox.path(), gate.path(), never.path()});
    const Watched daemon(mailbox.receive_number());
    const Watched other(mailbox.receive_number());
    EXPECT_EQ(mailbox.receive(), "ending");
    if (std::string(end) != "return") {
      // Both objects are leaked: the end of the process, and not a destructor, sees to them.
      EXPECT_TRUE(daemon.ends());
    }
    EXPECT_FALSE(other.has_ended());
    EXPECT_TRUE(root.running());
    gate.open();
    EXPECT_EQ(root.wait().code, std::string(end) == "exit" ? 7 : 0) << root.err();
    EXPECT_TRUE(other.has_ended());
    EXPECT_TRUE(daemon.ends());
  }
}

TEST_P(ProcessFamily, AChildThatEndsDoesTheSameForItsOwn) {
  for (const char* end : {"leak", "exit", "throw"}) {
    SCOPED_TRACE(end);
    Mailbox mailbox;
    Gate gate, never;
    Helper root({"child_ends_by_itself", method(), end, mailbox.path(), gate.path(), never.path()});
    const Watched daemon(mailbox.receive_number());
    const Watched other(mailbox.receive_number());
    EXPECT_EQ(mailbox.receive(), "ending");
    EXPECT_TRUE(daemon.ends());
    EXPECT_FALSE(other.has_ended());
    gate.open();
    const std::string code = mailbox.receive();
    EXPECT_EQ(code, std::string(end) == "exit" ? "7" : std::string(end) == "throw" ? "1" : "0");
    EXPECT_EQ(root.wait().code, 0) << root.err();
  }
}

TEST_P(ProcessFamily, WhenTheRootIsKilledDaemonsDieAndOthersRunOn) {
  Mailbox mailbox;
  Gate gate, never;
  Helper root({"is_killed", method(), mailbox.path(), gate.path(), never.path()});
  const Watched daemon(mailbox.receive_number());
  const Watched other(mailbox.receive_number());
  root.kill(SIGKILL);
  EXPECT_EQ(root.wait().signal, SIGKILL);
  EXPECT_TRUE(daemon.ends());
  EXPECT_FALSE(other.has_ended());
  gate.open();
  EXPECT_EQ(mailbox.receive(), "passed");
  EXPECT_TRUE(other.ends());
}

// Killed while it starts one daemon after the other, so that it dies in the middle of a start.
TEST_P(ProcessFamily, ADaemonDiesHoweverSoonTheRootIsKilled) {
  for (int i = 0; i < 10; ++i) {
    Mailbox mailbox;
    Gate never;
    const auto before = test_support::Snapshot::take();
    {
      Helper root({"daemons_one_after_the_other", method(), mailbox.path(), never.path()});
      for (int skipped = 0; skipped < i; ++skipped) (void)mailbox.receive();
      root.kill(SIGKILL);
      EXPECT_EQ(root.wait().signal, SIGKILL);
    }
    EXPECT_TRUE(eventually([&] { return before.leftovers().empty(); })) << "after " << i;
  }
}

TEST_P(ProcessFamily, ADaemonOutlivesTheThreadThatStartedIt) {
  Mailbox mailbox;
  Gate gate, never;
  Helper root({"thread_starts_a_daemon", method(), mailbox.path(), gate.path(), never.path()});
  const Watched daemon(mailbox.receive_number());
  EXPECT_EQ(mailbox.receive(), "the thread has ended");
  gate.open();
  EXPECT_EQ(mailbox.receive(), "still here");
  EXPECT_FALSE(daemon.has_ended());
  root.kill(SIGKILL);
  EXPECT_EQ(root.wait().signal, SIGKILL);
  EXPECT_TRUE(daemon.ends());
}

TEST_P(ProcessFamily, DaemonsOfDaemonsDieWithTheRoot) {
  Mailbox mailbox;
  Gate gate, never;
  Helper root({"daemon_chain", method(), mailbox.path(), gate.path(), never.path()});
  const Watched first(mailbox.receive_number());
  const Watched second(mailbox.receive_number());
  const Watched ordinary(mailbox.receive_number());
  root.kill(SIGKILL);
  EXPECT_EQ(root.wait().signal, SIGKILL);
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
  EXPECT_FALSE(ordinary.has_ended());  // no daemon: it runs on
  gate.open();
  EXPECT_TRUE(ordinary.ends());
}

TEST_P(ProcessFamily, ADaemonBelongsToItsOwnParentAndNotToTheRoot) {
  Mailbox mailbox;
  Gate never;
  Helper root({"daemon_below_ordinary", method(), mailbox.path(), never.path()});
  const pid_t middle_pid = mailbox.receive_number();
  const Watched middle(middle_pid);
  const Watched daemon(mailbox.receive_number());
  root.kill(SIGKILL);
  EXPECT_EQ(root.wait().signal, SIGKILL);
  EXPECT_FALSE(middle.has_ended());
  EXPECT_FALSE(daemon.has_ended());
  EXPECT_EQ(::kill(middle_pid, SIGKILL), 0);
  EXPECT_TRUE(daemon.ends());
}

// What is left of the family can still start processes.
TEST_P(ProcessFamily, AnOrphanCanHaveChildren) {
  Mailbox mailbox;
  Gate gate;
  Helper root({"orphan_starts", method(), mailbox.path(), gate.path()});
  const Watched orphan(mailbox.receive_number());
  root.kill(SIGKILL);
  EXPECT_EQ(root.wait().signal, SIGKILL);
  gate.open();
  EXPECT_EQ(mailbox.receive(), "5");
  EXPECT_TRUE(orphan.ends());
}

}  // namespace
}  // namespace procession::process_test
