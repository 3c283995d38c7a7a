// Whoever may come to a lock: a thread, a child of plain fork(), a Process of each start method.
//
// Example:
//   for (const By by : everybody) {
//     SCOPED_TRACE(name_of(by));
//     Contestant rival(by, [lock] { EXPECT_FALSE(lock.try_acquire()); });
//     rival.expect_success();
//   }
//
// What a contestant captures and is passed must be shippable: handles and numbers. An EXPECT that
// fails in it is printed there, and is a failure of the test here.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "procession/event.hpp"
#include "procession/process.hpp"
#include "procession/value.hpp"
#include "sync/conformance.hpp"
#include "sync/sync_test.hpp"

namespace procession::sync_test {

inline constexpr bool under_sanitizer = test_support::under_asan || test_support::under_tsan;
// How long something that is bound to happen may take before the test calls it a failure.
inline constexpr std::chrono::seconds patience{under_sanitizer ? 60 : 20};

enum class By { Thread, Fork, ProcessFork, ProcessForkServer, ProcessSpawn };
inline constexpr std::array everybody{By::Thread, By::Fork, By::ProcessFork, By::ProcessForkServer,
                                      By::ProcessSpawn};
std::string name_of(By by);

template <class Tuple>
struct TypesOf;
template <class... Row>
struct TypesOf<std::tuple<Row...>> {
  using Types = ::testing::Types<Row...>;
};
struct RowNames {
  template <class Row>
  static std::string GetName(int) {
    return Row::name();
  }
};

class Contestant {
 public:
  template <class Body, class... Args>
  explicit Contestant(By by, const Body& body, const Args&... arguments)
      : runs_(start(by, body, arguments...)) {}

  pid_t pid() const;
  // Returns when it sleeps on a futex: in the lock, for who does nothing else any more.
  void await_sleep() const;
  // Each waits for its end.
  void expect_success();
  void expect_killed();

 private:
  using Runs = std::variant<Thread, Child, Process>;
  template <class Body, class... Args>
  static Runs start(By by, const Body& body, const Args&... arguments) {
    if (by == By::Thread) {
      return Thread([=] { EXPECT_NO_THROW(body(arguments...)); });
    }
    if (by == By::Fork) return start_child([&] { body(arguments...); });
    Process process(
        options_of(by),
        [body](Args... arrived) {
          body(arrived...);
          if (::testing::Test::HasFailure()) std::exit(test_support::child_failed);
        },
        arguments...);
    process.start();
    return process;
  }
  static ProcessOptions options_of(By by);
  void expect_end(int code, int signal);

  Runs runs_;
};

// `n` of them at once. None begins before all are there.
template <class Body>
void run_contestants(By by, int n, const Body& body) {
  const Value<int> there(0);
  const Event all;
  std::vector<Contestant> contestants;
  contestants.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    contestants.emplace_back(
        by,
        [=](int number) {
          if (there.fetch_add(1) + 1 == n) all.set();
          all.wait();
          body(number);
        },
        i);
  }
  for (Contestant& contestant : contestants) contestant.expect_success();
}

// One, to its end.
template <class Body>
void run_contestant(By by, const Body& body) {
  Contestant(by, body).expect_success();
}

// What the call throws must be an E whose text has `word`.
template <class E, class Call>
void expect_error(const std::string& word, Call&& call) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown; expected an error about " << word;
  } catch (const E& error) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
        << "no " << word << " in: " << error.what();
  }
}

}  // namespace procession::sync_test
