#include "killer.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <future>
#include <vector>

namespace headers {
namespace {

using namespace std::chrono_literals;

pid_t start_sleeper() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

TEST(Killer, KillsWhatItIsGivenAndCountsItOnce) {
  const pid_t victim = start_sleeper();
  ASSERT_GT(victim, 0);
  // Not reaped, so that the pid stays valid while it stays listed.
  Killer killer([victim] { return std::vector<pid_t>{victim}; }, 1ms);
  siginfo_t info = {};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(victim), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(info.si_status, SIGKILL);
  EXPECT_EQ(killer.stop(), 1u);
  ::waitpid(victim, nullptr, 0);
}

TEST(Killer, LeavesPidsThatStandForGroupsAlone) {
  std::promise<void> asked;
  int calls = 0;
  Killer killer(
      [&]() -> std::vector<pid_t> {
        if (++calls == 3) asked.set_value();
        return {0, -1};
      },
      1ms);
  asked.get_future().wait();
  EXPECT_EQ(killer.stop(), 0u);  // and this process is alive to say so
}

TEST(Killer, StopsAtOnceInTheMiddleOfItsPeriod) {
  Killer killer([] { return std::vector<pid_t>{}; }, 1h);
  EXPECT_EQ(killer.stop(), 0u);
  EXPECT_EQ(killer.stop(), 0u);
}

}  // namespace
}  // namespace headers
