// What the tests of the pool share: patience, errors, watched processes, tasks.
//
// Example:
//   Pool pool(2);
//   const auto death = thrown<WorkerDied>([&] { pool.apply(die, SIGKILL); });
//   ASSERT_TRUE(death);
//   EXPECT_EQ(death->signal(), SIGKILL);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <typeinfo>
#include <vector>

#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/pool.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession::pool_test {

using namespace std::chrono_literals;

// How long something that is bound to happen may take before the test calls it a failure.
inline constexpr std::chrono::seconds patience{20};
// How long something that waits for nothing may take on a busy machine.
inline constexpr std::chrono::seconds promptly{5};

inline constexpr bool under_sanitizer = test_support::under_asan || test_support::under_tsan;

// What the call throws, which must be an E that explains itself.
template <class E, class F>
std::optional<E> thrown(F&& call, const std::vector<std::string>& words = {}) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const E& error) {
    const std::string text = error.what();
    for (const std::string& word : words) EXPECT_THAT(text, ::testing::HasSubstr(word));
    return error;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << typeid(error).name() << ": " << error.what();
  }
  return std::nullopt;
}

// Whether `condition` comes true in time, asked again and again: for what only the scheduler knows.
bool eventually(const std::function<bool()>& condition);

// Some process, held by what outlives its pid.
class Watched {
 public:
  explicit Watched(pid_t pid);
  ~Watched();
  Watched(Watched&& other) noexcept;
  Watched& operator=(Watched&&) = delete;
  bool ends() const;  // in time
  bool has_ended() const;
  void kill(int signal) const;

 private:
  int pidfd_;
};

std::vector<pid_t> worker_pids(const Pool& pool);
std::vector<Watched> watch_workers(const Pool& pool);

// How long the call takes.
std::chrono::nanoseconds time_of(const std::function<void()>& call);

// Tasks.
int square(int x);
int add(int x, int y);
pid_t own_pid();
void die(int signal);
// Says that it runs, as which process, and waits until it may go on.
int held(int x, Value<pid_t> pid, Event running, Event gate);
int held(int x, Event running, Event gate);

// The second of them, as a type that deduces.
inline constexpr int (*hold)(int, Event, Event) = held;
inline constexpr int (*hold_as)(int, Value<pid_t>, Event, Event) = held;

}  // namespace procession::pool_test
