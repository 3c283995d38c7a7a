// Listens to the family's bell (sleeper.hpp) for the sleepers of a process whose kernel lets a
// thread wait for one word only.
//
// Two threads of the process take turns: one is asleep on the bell while the other wakes every
// sleeper of the process. What the bell rings for has happened before that, so each finds it.
//
// Example:
//   const BellWatch watch(word);       // before the last look at the word
//   futex_wait(word, expected);
//
// Invariants:
//   1. Whoever has been woken by the bell lets the other one fall asleep on it first, and then
//      wakes the sleepers. So a ring that found neither of the two there is answered, too.
//   2. The other one is moved to the bell by FUTEX_CMP_REQUEUE, whose count says that it sleeps
//      there. A wait that the kernel begins anew, after a stop, finds `staging` changed and is
//      taken for a ring.
//   3. A sleeper that is listed has not looked at its word since, or is woken until it is back.
//   4. As in sleeper.hpp, invariant 3: who was woken while `rounds` is what it was after it had
//      fallen asleep was woken by the kernel, and rings for the other processes.
#pragma once

#include <atomic>
#include <cstdint>

namespace procession::detail {

struct BellWatches;

class BellWatch {
 public:
  // Blocks while the sleepers of this process are being woken. Throws SystemError when no thread
  // can be started.
  explicit BellWatch(const std::atomic<std::uint32_t>& word);
  ~BellWatch();
  BellWatch(const BellWatch&) = delete;
  BellWatch& operator=(const BellWatch&) = delete;

  // Of the thread that wakes, under the mutex of the process's watches: the sleeper is to look at
  // its word again; and wakes it. False: it has not to, or is back.
  void owe() noexcept { owed_ = true; }
  [[nodiscard]] bool wake() const noexcept;

 private:
  const std::atomic<std::uint32_t>& word_;
  std::atomic<bool> back_{false};
  bool owed_ = false;
  BellWatches* home_;
};

}  // namespace procession::detail
