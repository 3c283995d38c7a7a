// Sleeping on words of shared memory.
//
// Every futex here is a shared one: its word may lie in memory that several processes map. All
// functions may be called from any thread. Deadlines are points of the monotonic clock, which is
// what std::chrono::steady_clock reads; one in the past times out at once.
//
// A wait may end without a wake-up (the word had changed already, a wake meant for an earlier user
// of the word): callers look at their condition again, as always with futexes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace procession::detail {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;  // none: for ever

enum class WaitResult { Woken, TimedOut };

// Sleeps while `word` == `expected`. Blocks; goes back to sleep after a signal handler. Throws
// SystemError when the word cannot be waited for (it is not mapped).
WaitResult futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline = std::nullopt);

// Wakes up to `count` sleepers; returns how many. Never blocks. A word that is no longer mapped
// has no sleepers.
int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

struct WaitWord {
  const std::atomic<std::uint32_t>* word;
  std::uint32_t expected;
};

inline constexpr std::size_t max_wait_words = 128;

// Sleeps while every word has its expected value: 1 to max_wait_words of them. Blocks as
// futex_wait does. More than one word needs have_futex_waitv(), otherwise SystemError (ENOSYS).
WaitResult futex_wait_any(std::span<const WaitWord> words, Deadline deadline = std::nullopt);

// Whether the kernel (5.16 or later) can wait for several words at once. Asked once per process.
bool have_futex_waitv() noexcept;

// Tells the CPU that this is a spinning loop: saves power and lets the sibling hyperthread run.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` does nothing on the cores that matter
#endif
}

}  // namespace procession::detail
