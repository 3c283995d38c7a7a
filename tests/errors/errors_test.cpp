// The hierarchy and the sentences of errors.hpp.
#include "procession/errors.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "procession/detail/error_texts.hpp"

namespace mp = procession;
using namespace std::chrono_literals;

namespace {

template <class E>
class EveryError : public testing::Test {};
using AllErrors =
    testing::Types<mp::ProcessError, mp::TimeoutError, mp::StateError, mp::NotShippable,
                   mp::QueueEmpty, mp::QueueFull, mp::QueueClosed, mp::BrokenBarrierError,
                   mp::TaskCancelled, mp::PoolClosed, mp::BufferTooShort, mp::AuthenticationError,
                   mp::ConnectionClosed, mp::SystemError, mp::OutOfMemory, mp::OwnerDied,
                   mp::DeadlockError, mp::WorkerDied, mp::RemoteError>;
TYPED_TEST_SUITE(EveryError, AllErrors);

TYPED_TEST(EveryError, IsAProcessErrorAndAStdExceptionExactlyOnce) {
  static_assert(std::is_convertible_v<TypeParam*, mp::ProcessError*>);
  static_assert(std::is_convertible_v<TypeParam*, std::runtime_error*>);
  static_assert(std::is_convertible_v<TypeParam*, std::exception*>);
}

TYPED_TEST(EveryError, CanBeCopiedWithoutThrowing) {
  static_assert(std::is_nothrow_copy_constructible_v<TypeParam>);
}

TYPED_TEST(EveryError, IsConstructedFromTextOnlyWhereTextIsAllItHas) {
  if constexpr (std::is_constructible_v<TypeParam, std::string>) {
    EXPECT_STREQ(TypeParam(std::string("text")).what(), "text");
  }
}

TEST(SystemError, KeepsCodeAndPhaseAndTheSentence) {
  const mp::SystemError error(EAGAIN, "fork", "cannot fork: too many processes (EAGAIN)");
  EXPECT_EQ(error.code(), EAGAIN);
  EXPECT_EQ(error.phase(), "fork");
  EXPECT_STREQ(error.what(), "cannot fork: too many processes (EAGAIN)");
}

TEST(OwnerDied, NamesProcessAndObjectAndTheRemedy) {
  const mp::OwnerDied error(42, "Process-1", "jobs");
  EXPECT_EQ(error.pid(), 42);
  EXPECT_EQ(error.process_name(), "Process-1");
  EXPECT_EQ(error.object_name(), "jobs");
  EXPECT_STREQ(
      error.what(),
      "process 'Process-1' (pid 42) died while it held 'jobs', and what that guards may be "
      "half changed; check it, then call recover() to take it over");
}

TEST(OwnerDied, SpeaksOfUnnamedOwnersAndObjects) {
  EXPECT_TRUE(std::string(mp::OwnerDied(42, "", "").what())
                  .starts_with("process 42 died while it held an unnamed lock"));
}

TEST(DeadlockError, PrintsTheWholeCycleStartingWithTheCaller) {
  const mp::DeadlockError error({{.pid = 1,
                                  .process_name = "A",
                                  .waits_for = "first",
                                  .held_by = 2,
                                  .holder_name = "B",
                                  .waiting = 0ns},
                                 {.pid = 2,
                                  .process_name = "B",
                                  .waits_for = "second",
                                  .held_by = 1,
                                  .holder_name = "A",
                                  .waiting = 3400ms}});
  ASSERT_EQ(error.cycle().size(), 2U);
  EXPECT_EQ(error.cycle()[1].waits_for, "second");
  EXPECT_STREQ(
      error.what(),
      "deadlock: process 'A' (pid 1) asks for 'first' held by process 'B' (pid 2), process "
      "'B' (pid 2) has waited 3400 ms for 'second' held by process 'A' (pid 1); nothing was "
      "acquired: release what you hold and try again, or take the locks in the same order "
      "everywhere");
}

TEST(DeadlockError, SaysThatTheCallerHoldsTheLockItself) {
  const mp::DeadlockError error(std::vector<mp::WaitEdge>{{1, "A", "lock", 1, "A", 0ns}});
  EXPECT_STREQ(error.what(),
               "process 'A' (pid 1) would wait for ever for 'lock', which the caller itself holds; "
               "nothing was acquired: release it first, or use a recursive lock");
}

TEST(WorkerDied, TellsSignalsFromExitCodes) {
  const mp::WorkerDied killed(7, -SIGSEGV, mp::DeathReason::Signal, 2);
  EXPECT_EQ(killed.pid(), 7);
  EXPECT_EQ(killed.exitcode(), -SIGSEGV);
  EXPECT_EQ(killed.signal(), SIGSEGV);
  EXPECT_EQ(killed.reason(), mp::DeathReason::Signal);
  EXPECT_EQ(killed.attempts(), 2);
  EXPECT_STREQ(
      killed.what(),
      "the worker (pid 7) was killed by SIGSEGV (signal 11) while it ran the task, after 2 "
      "attempts; look for the fault in the function, or allow retries");
  const mp::WorkerDied left(7, 3, mp::DeathReason::Exit, 1, "task 'parse'");
  EXPECT_EQ(left.signal(), 0);
  EXPECT_STREQ(
      left.what(),
      "the worker (pid 7) ended with exit code 3 inside the task (task 'parse'); return or "
      "throw from the function instead of calling exit");
}

TEST(WorkerDied, HasASentenceForEveryReason) {
  for (const auto& [reason, words] : {std::pair{mp::DeathReason::Timeout, "time limit"},
                                      std::pair{mp::DeathReason::MemoryLimit, "memory limit"},
                                      std::pair{mp::DeathReason::Cancelled, "was cancelled"}}) {
    const mp::WorkerDied error(7, -SIGKILL, reason, 1);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(RemoteError, IsRemoteInfoWithTheOriginalText) {
  try {
    throw mp::RemoteError("app::ParseError", 42, "line 3", "the stack");
  } catch (const mp::RemoteInfo& info) {
    EXPECT_EQ(info.pid(), 42);
    EXPECT_EQ(info.type_name(), "app::ParseError");
    EXPECT_EQ(info.traceback(), "the stack");
    EXPECT_STREQ(dynamic_cast<const std::exception&>(info).what(), "line 3");
  }
}

TEST(ErrorTexts, PickAUnitForEveryDuration) {
  EXPECT_EQ(mp::detail::duration_text(900ns), "900 ns");
  EXPECT_EQ(mp::detail::duration_text(12us), "12 us");
  EXPECT_EQ(mp::detail::duration_text(12ms), "12 ms");
  EXPECT_EQ(mp::detail::duration_text(90s), "90 s");
}

TEST(ErrorTexts, NameSignalsThatHaveNoName) {
  EXPECT_EQ(mp::detail::signal_text(SIGKILL), "SIGKILL (signal 9)");
  EXPECT_EQ(mp::detail::signal_text(SIGRTMIN + 1), "signal " + std::to_string(SIGRTMIN + 1));
}

}  // namespace
