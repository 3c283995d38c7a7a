// How long to look again and again before a sleep, learned from what it was good for.
//
// A wake-up costs two system calls and, where the other CPU was idle, its way out of that: 2 to
// 50 us, the latter in virtual machines. Who is answered sooner than that had better not sleep; but
// where both run on the same CPU, or the answer takes longer, every look is wasted. Which of them
// it is changes with the scheduler's mind, so it is tried: a spin that was in vain halves the next
// ones, down to none, one that was not lengthens them. Where there are none, a long one is tried
// now and then, ever more seldom.
//
// Example:
//   AdaptiveSpin spin(shared.spin);            // a word where the waiters are; its life begins as
//   0 while (spin.once()) {
//     if (there()) return spin.succeeded();
//   }
//   sleep();
//
// Looks follow each other in growing intervals: what comes at once is seen at once, and who puts in
// many items is not hindered at each of them.
//
// The word is a hint. Waiters change it without regard to each other, and nothing depends on it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "system/cpu.hpp"
#include "system/futex.hpp"

namespace procession::detail {

class AdaptiveSpin {
 public:
  using Clock = std::chrono::steady_clock;
  using Nanoseconds = std::chrono::nanoseconds;
  static constexpr Nanoseconds longest{50'000};
  static constexpr Nanoseconds shortest{1'000};  // below it there is none

  // In a stream of items `patient` looks more seldom from the beginning.
  AdaptiveSpin(std::atomic<std::uint32_t>& learned, bool patient) noexcept
      : word_(learned),
        learned_(Learned::from(learned.load(std::memory_order_relaxed))),
        interval_(patient ? longest_interval : 1) {
    static const bool useful = usable_cpu_count() > 1;
    if (!useful) return;
    limit_ = learned_.length;
    if (limit_ != Nanoseconds::zero()) return;
    // The first of all is a trial.
    if (learned_.rest != 0 && learned_.waits + 1 < 1U << learned_.rest) {
      ++learned_.waits;
      write();
      return;
    }
    limit_ = longest;
  }
  AdaptiveSpin(const AdaptiveSpin&) = delete;
  AdaptiveSpin& operator=(const AdaptiveSpin&) = delete;

  // Pauses; false: enough, and that was in vain.
  bool once() noexcept {
    if (limit_ == Nanoseconds::zero()) return false;
    if (begin_ == Clock::time_point()) {
      begin_ = Clock::now();
    } else if (interval_ == longest_interval && Clock::now() - begin_ >= limit_) {
      failed();
      return false;
    }
    for (std::uint32_t i = 0; i < interval_; ++i) cpu_relax();
    interval_ = std::min(2 * interval_, longest_interval);
    return true;
  }
  // What was waited for came during the spin.
  void succeeded() noexcept {
    const Nanoseconds length = std::min(longest, limit_ + limit_ / 2);
    if (length == learned_.length && learned_.rest == 0) return;
    learned_ = {length, 0, 0};
    write();
  }

 private:
  struct Learned {
    Nanoseconds length;  // of the next spin; a multiple of `unit`
    std::uint32_t rest;  // so many waits without one are between two trials, as a power of two
    std::uint32_t waits;
    static constexpr Nanoseconds unit{16};
    [[nodiscard]] std::uint32_t word() const noexcept {
      return static_cast<std::uint32_t>(length / unit) | rest << 12 | waits << 16;
    }
    static Learned from(std::uint32_t word) noexcept {
      return {(word & 0xfff) * unit, word >> 12 & 0xf, word >> 16};
    }
  };
  static_assert(longest / Learned::unit <= 0xfff);
  static constexpr std::uint32_t longest_rest = 12;
  static constexpr std::uint32_t longest_interval = 32;  // pauses, of 10 to 60 ns each

  void failed() noexcept {
    const Nanoseconds length = learned_.length / 2;
    if (length >= shortest) {
      learned_.length = length;
    } else {
      learned_ = {Nanoseconds::zero(), std::min(learned_.rest + 1, longest_rest), 0};
    }
    write();
  }
  void write() noexcept { word_.store(learned_.word(), std::memory_order_relaxed); }

  std::atomic<std::uint32_t>& word_;
  Learned learned_;
  std::uint32_t interval_;
  Nanoseconds limit_{0};
  Clock::time_point begin_{};
};

}  // namespace procession::detail
