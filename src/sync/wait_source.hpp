// What somebody can wait for, among other things, without a descriptor: a change of a word.
//
// The order of a wait for several things: begin() each; then, on duty, until something is ready:
// prepare() each, and sleep on all of their words at once; then pass_on() each, still on duty;
// then end() each.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "sync/sleeper.hpp"

namespace procession::detail {

// On what a wait sleeps. REQUIRES: somebody wakes `word` when the thing becomes ready after it had
// the value `expected`, and `also` was as it says.
struct SleepWord {
  const std::atomic<std::uint32_t>* word = nullptr;
  std::uint32_t expected = 0;
  Unchanged also[most_unchanged];
};

struct WaitOperations {
  // What ready() is to remember of the beginning.
  std::uint64_t (*begin)(void* object) noexcept;
  // Never blocks.
  bool (*ready)(void* object, std::uint64_t since);
  // Says that somebody is about to sleep; then looks once more. True: it is ready.
  bool (*prepare)(void* object, std::uint64_t since, SleepWord& word);
  // The wake-up of this sleeper may have been meant for somebody who takes what is there.
  void (*pass_on)(void* object) noexcept;
  void (*end)(void* object) noexcept;
};

}  // namespace procession::detail
