#include "system/daemon_pipe.hpp"

#include <fcntl.h>

#include <array>
#include <memory>
#include <thread>

#include "system_test.hpp"

namespace procession::detail {
namespace {

// A parent (a child of the test) that has a daemon, which answers every byte that it is sent.
// The test is the reaper of both.
class DaemonPipeTest : public SystemTest {
 protected:
  struct Family {
    Bytes to_daemon, from_daemon;  // '!' first: the daemon has made its arrangement
    Bytes to_parent, daemon_pid;
    std::unique_ptr<TestChild> parent;
    Descriptor daemon;
  };

  static void run_daemon(Family& family, int life) {
    const bool alive = die_with(life);
    family.from_daemon.send(alive ? '!' : '?');
    for (;;) family.from_daemon.send(family.to_daemon.receive());
  }

  // `make` forks the daemon, which calls run_daemon; it returns the daemon's pid.
  template <class F>
  static void start(Family& family, F make) {
    std::array<int, 2> pid_pipe{};
    ASSERT_EQ(::pipe(pid_pipe.data()), 0);
    const Descriptor read(pid_pipe[0]), write(pid_pipe[1]);
    family.parent = std::make_unique<TestChild>([&] {
      const pid_t daemon = make();
      if (::write(write.get(), &daemon, sizeof(daemon)) != sizeof(daemon)) return 1;
      return static_cast<int>(family.to_parent.receive());
    });
    pid_t daemon = 0;
    ASSERT_EQ(::read(read.get(), &daemon, sizeof(daemon)), static_cast<ssize_t>(sizeof(daemon)));
    // Not reaped before its parent ends or we do it: the pid is still the daemon's.
    family.daemon = open_pidfd(daemon);
    ASSERT_EQ(family.from_daemon.receive(), '!');
  }

  static pid_t fork_daemon(Family& family, LifePipe& pipe) {
    const int life = pipe.read_end();
    const pid_t pid = ::fork();
    if (pid == 0) run_daemon(family, life);
    return pid;
  }

  static void expect_alive(Family& family) {
    family.to_daemon.send('a');
    EXPECT_EQ(family.from_daemon.receive(), 'a');
    EXPECT_FALSE(pidfd_ended(family.daemon.get()));
  }

  static void expect_killed(Family& family) {
    EXPECT_TRUE(wait_pidfd(family.daemon.get(), std::nullopt));
    const auto record = reap(family.daemon.get(), true);
    ASSERT_TRUE(record);
    EXPECT_EQ(exitcode_of(record->status), -SIGKILL);
  }

  const Subreaper subreaper_;
};

TEST_F(DaemonPipeTest, DiesWithAKilledParent) {
  Family family;
  start(family, [&] {
    static LifePipe pipe;
    return fork_daemon(family, pipe);
  });
  expect_alive(family);
  family.parent->signal(SIGKILL);
  EXPECT_EQ(family.parent->exitcode(), -SIGKILL);
  expect_killed(family);
}

TEST_F(DaemonPipeTest, DiesWithAParentThatExits) {
  Family family;
  start(family, [&] {
    static LifePipe pipe;
    return fork_daemon(family, pipe);
  });
  family.to_parent.send(5);
  EXPECT_EQ(family.parent->exitcode(), 5);
  expect_killed(family);
}

TEST_F(DaemonPipeTest, AStoppedParentIsAlive) {
  Family family;
  start(family, [&] {
    static LifePipe pipe;
    return fork_daemon(family, pipe);
  });
  family.parent->signal(SIGSTOP);
  family.parent->wait_stopped();
  expect_alive(family);
  family.parent->signal(SIGKILL);
  EXPECT_EQ(family.parent->exitcode(), -SIGKILL);
  expect_killed(family);
}

TEST_F(DaemonPipeTest, TheEndOfTheThreadThatMadeTheChildIsNotTheEndOfTheParent) {
  Family family;
  start(family, [&] {
    static LifePipe pipe;
    pid_t daemon = 0;
    std::thread([&] { daemon = fork_daemon(family, pipe); }).join();
    return daemon;
  });
  expect_alive(family);
  family.parent->signal(SIGKILL);
  EXPECT_EQ(family.parent->exitcode(), -SIGKILL);
  expect_killed(family);
}

TEST_F(DaemonPipeTest, AForkOfTheHostProgramDoesNotKeepTheParentAlive) {
  Family family;
  Bytes stop;
  start(family, [&] {
    static LifePipe pipe;
    const int life = pipe.read_end();
    const pid_t stranger = ::fork();
    if (stranger == 0) ::_exit(stop.receive());
    const pid_t pid = ::fork();
    if (pid == 0) run_daemon(family, life);
    return pid;
  });
  family.parent->signal(SIGKILL);
  EXPECT_EQ(family.parent->exitcode(), -SIGKILL);
  expect_killed(family);  // though the stranger, a copy of the parent, still runs
  stop.send('\7');
  int status = 0;
  EXPECT_GT(::waitpid(-1, &status, 0), 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(DaemonPipeTest, AfterForkDoesForRawForksWhatTheHandlerDoesForFork) {
  Family family;
  start(family, [&] {
    static LifePipe pipe;
    const int life = pipe.read_end();
    const ForkResult fork = fork_server_child();
    if (fork.pid == 0) {
      pipe.after_fork();
      run_daemon(family, life);
    }
    return fork.pid;
  });
  expect_alive(family);
  family.parent->signal(SIGKILL);
  EXPECT_EQ(family.parent->exitcode(), -SIGKILL);
  expect_killed(family);
}

TEST_F(DaemonPipeTest, AParentThatDiedBeforeTheCallIsNoticed) {
  LifePipe pipe;
  const int life = pipe.read_end();
  const Descriptor inherited(::dup(life));
  Bytes go_on;
  TestChild child([&] {
    pipe.after_fork();
    go_on.receive();
    return die_with(inherited.get()) ? 1 : 0;
  });
  pipe.after_fork();  // closes the write end, as the death of this process would
  go_on.send();
  EXPECT_EQ(child.exitcode(), 0);
}

TEST_F(DaemonPipeTest, AChildCanBeAParentInItsTurn) {
  LifePipe pipe;
  const int life = pipe.read_end();
  EXPECT_EQ(pipe.read_end(), life);
  TestChild child([&] {
    pipe.after_fork();
    if (!die_with(life)) return 1;
    const int own = pipe.read_end();
    TestChild grandchild([&] {
      pipe.after_fork();
      return die_with(own) ? 0 : 2;
    });
    return grandchild.exitcode();
  });
  EXPECT_EQ(child.exitcode(), 0);
}

TEST_F(DaemonPipeTest, BothEndsAreCloseOnExec) {
  LifePipe pipe;
  EXPECT_EQ(::fcntl(pipe.read_end(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

}  // namespace
}  // namespace procession::detail
