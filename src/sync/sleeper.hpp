// How a thread waits in shared memory so that no death can swallow its wake-up, or another's.
//
// A futex wakes one sleeper, and that one can be killed before it has done anything. So everyone
// who sleeps, and everyone who is about to wake somebody, is *on duty*: the pending entry of the
// thread's robust list names the family's bell, a word that is always 0. When a thread dies on
// duty the kernel takes the bell for a futex whose unlocker died before the wake-up, and wakes one
// of those who listen to it. Every sleeper listens. The one who is woken so rings for all, and all
// look at what they wait for again.
//
// Example:
//   Sleeper sleeper(this_thread(), word);
//   while (word is not what we want) {
//     if (sleeper.sleep(expected, owners, news, deadline) == WaitResult::TimedOut) break;
//   }
//   futex_wake(...);                              // still on duty until the end of the scope
//
// Invariants:
//   1. A thread is on duty from before its first sleep, or before the store that obliges it to
//      wake somebody, until it has woken whom it must. The same holds for a ringer.
//   2. The words are compared again after the sleeper has begun to listen to the bell. So a ring
//      that comes too early for it was for a change that it has seen. Where the change is not in
//      the word that is slept on, the caller names the one that it is in (Unchanged).
//   3. A thread that is woken by the bell while `rounds` is what it was when it began to listen
//      was woken by the kernel, and rings for all: `rounds` + 1, then a wake of everybody.
//   4. On duty nobody locks a pthread robust mutex: it uses the same pending entry.
//   5. An owner's end wakes one of those who watch its token; who finds a watched token dead wakes
//      the others, on duty.
// A thread listens to the tokens of most_watched others; those of the rest are watched by threads
// of its process (death_watch.hpp). Without futex_waitv (a kernel before 5.16, some sandboxes) it
// can listen to one word: then all tokens are watched so, and threads of the process listen to the
// bell (bell_watch.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sync/death_watch.hpp"
#include "sync/thread_table.hpp"
#include "system/futex.hpp"

namespace procession::detail {

inline constexpr std::size_t most_watched = 40;
inline constexpr std::size_t most_heard = 30;

// A word that nobody wakes. Who sleeps does so only if it had that value when it fell asleep. At
// most most_unchanged of them for each word that is slept on; nullptr: none.
inline constexpr std::size_t most_unchanged = 2;
struct Unchanged {
  const std::atomic<std::uint32_t>* word = nullptr;
  std::uint32_t expected = 0;
};

// Another word to sleep on, and to be woken by: as long as it is `expected`.
struct Heard {
  const std::atomic<std::uint32_t>* word;
  std::uint32_t expected;
};

class Sleeper {
 public:
  // Not on duty yet. `word` is the one that will be slept on and woken.
  Sleeper(const CallingThread& me, const std::atomic<std::uint32_t>& word) noexcept
      : me_(me), word_(word) {}
  ~Sleeper() { go_off_duty(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  void go_on_duty() noexcept {
    if (on_duty_ || me_.robust == nullptr) return;
    before_ = me_.robust->list_op_pending;  // of whom we interrupted in a signal handler
    set_pending(me_.duty);
    on_duty_ = true;
  }
  // REQUIRES: it has not slept, and whom it had to wake are woken.
  void go_off_duty() noexcept {
    if (on_duty_) set_pending(before_);
    on_duty_ = false;
  }
  [[nodiscard]] bool on_duty() const noexcept { return on_duty_; }

  // Sleeps while the word is `expected` and all of `owners` (watched.hpp) live. Goes on duty. Woken
  // also means: for no reason that concerns the caller.
  WaitResult sleep(std::uint32_t expected, std::span<const Owner> owners, DeathNews news,
                   Deadline deadline, std::span<const Unchanged> also = {});
  // Sleeps while the word is `expected` and all the others are as they should be. REQUIRES:
  // can_listen_to_many(); most_heard others at most, with most_unchanged for each word.
  WaitResult sleep_on_all(std::uint32_t expected, std::span<const Heard> others, Deadline deadline,
                          std::span<const Unchanged> also) {
    go_on_duty();
    return sleep_on_many(expected, others, {}, deadline, also);
  }
  // Sleeps while the word is `expected`.
  WaitResult sleep(std::uint32_t expected, Deadline deadline,
                   std::span<const Unchanged> also = {}) {
    return sleep(expected, {}, {}, deadline, also);
  }

  // Goes on duty before waking; to be called after the store that the wake-up is about.
  void wake_one() noexcept { wake(1); }
  void wake(int count) noexcept;
  void wake_all() noexcept;

 private:
  // Read by the kernel after this thread's end, so only the compiler could be in the way.
  void set_pending(robust_list* entry) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const_cast<robust_list* volatile&>(me_.robust->list_op_pending) = entry;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  WaitResult sleep_on_many(std::uint32_t expected, std::span<const Heard> others,
                           std::span<const Owner> owners, Deadline deadline,
                           std::span<const Unchanged> also);

  const CallingThread& me_;
  const std::atomic<std::uint32_t>& word_;
  robust_list* before_ = nullptr;
  bool on_duty_ = false;
};

// Whether sleepers can listen to several words. Tests turn it off, before the first sleep.
[[nodiscard]] bool can_listen_to_many() noexcept;
void pretend_single_word_kernel() noexcept;

}  // namespace procession::detail
