// One attempt to get a lock that was not free, with all that may have to be waited for.
//
// Example:
//   lock_attempt(core, named, this_thread(), {Patience::ForEver});
#pragma once

#include <cstdint>

#include "procession/detail/deadline.hpp"
#include "procession/detail/lock_core.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

enum class Outcome { Acquired, Recovered, TimedOut, OwnerDead, SelfDeadlock, Deadlock };

enum class Patience { None, UntilDeadline, ForEver };

// How a caller gets in who does not want to own the word, while the word is 0. False: it is no
// longer. Called on duty or not.
struct TakeShare {
  bool (*take)(void* context) noexcept = nullptr;
  void* context = nullptr;
};

struct Request {
  Patience patience;
  TimePoint deadline{};
  bool recover = false;
  std::uint64_t bits = 0;  // beside the owner, in a word that was 0
  TakeShare share{};       // instead of the word
};

// Acquired, Recovered or TimedOut. Throws OwnerDied, DeadlockError.
Outcome lock_attempt(LockCore& core, const Object& named, const CallingThread& me,
                     const Request& request);

}  // namespace procession::detail
