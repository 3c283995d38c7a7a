// The permits of a semaphore, and whose they are.
//
// The word: the low half is a futex, 0 or asleep_bit; above it the value in 31 bits, and the tag.
// Who holds tracked permits is in entries {generation, count}, one for each thread of the family,
// in chunks of 64, 128, ... as those of the thread table.
//
// Invariants:
//   1. Each permit is in the value, in an entry, or a bare one that somebody took. An entry and
//      the value change under the guard, in this order: the log says what the entry is to be and
//      which tag the word will have; the word changes, with its tag; the entry; the log is done.
//      Bare permits change the value alone, without the guard, and keep the tag.
//   2. So who takes the guard over from a dead holder and finds a log knows by the tag whether
//      the change has happened; then it brings the entry up to it, which can be done twice.
//   3. Who sleeps on the futex has found asleep_bit in the same system call. It was set while the
//      value was 0, and every change that raises the value takes it away in the same store. So
//      whoever does that is on duty (sleeper.hpp), and wakes as many as it gave permits.
//   4. While anybody sleeps, asleep_bit is set and one of the sleepers watches all those who had
//      entries when it was set, or somebody is on duty who will look at the word or wake a sleeper.
//      So whoever has slept wakes one more when it leaves, with or without a permit: that one sets
//      the bit again and watches those whom it finds.
//   5. What the dead hold is given back by whoever finds no permit, or too few entries.
// The single store of every operation: the compare-exchange of the word. (A release of several
// permits that more than one thread holds: one for each of those.)
//
// With one word to sleep on (no futex_waitv) the kernel wakes a sleeper for one who died on duty
// if the futex is 0: so it is, whenever there may be a permit for who sleeps.
#pragma once

#include <bit>
#include <climits>
#include <cstdint>
#include <vector>

#include "procession/detail/semaphore_core.hpp"
#include "sync/quiet_guard.hpp"
#include "sync/sleeper.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

struct PermitWord {
  static constexpr std::uint64_t asleep_bit = std::uint64_t{1} << 31;
  static constexpr std::uint64_t one = std::uint64_t{1} << 32;
  static constexpr std::uint64_t tag_bit = std::uint64_t{1} << 63;
  static constexpr std::uint32_t most = INT_MAX;

  static std::uint32_t value(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>((word & ~tag_bit) >> 32);
  }
  static std::uint32_t tag(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 63);
  }
};

inline const std::atomic<std::uint32_t>& futex_of(const SemaphoreShared& shared) noexcept {
  static_assert(sizeof(shared.word) == 8 && std::endian::native == std::endian::little);
  const void* low_half = &shared.word;  // for the kernel's eyes only
  return *static_cast<const std::atomic<std::uint32_t>*>(low_half);
}

// Who wakes those who can have a permit again, at the end of its scope. To be made before the
// guard is taken: the woken need that.
class PermitWaker {
 public:
  PermitWaker(SemaphoreShared& shared, const CallingThread& me) noexcept
      : sleeper_(me, futex_of(shared)) {}
  ~PermitWaker() {
    if (given_ != 0) sleeper_.wake(given_ < INT_MAX ? static_cast<int>(given_) : INT_MAX);
  }
  PermitWaker(const PermitWaker&) = delete;
  PermitWaker& operator=(const PermitWaker&) = delete;

  // Before the store that takes asleep_bit away; after it.
  void prepare() noexcept { sleeper_.go_on_duty(); }
  void owe(std::uint64_t permits) noexcept { given_ += permits; }

 private:
  Sleeper sleeper_;
  std::uint64_t given_ = 0;
};

using PermitEntry = std::atomic<std::uint64_t>;  // generation in the high half, count in the low

// Makes sure that the calling thread has an entry. Throws OutOfMemory. REQUIRES: not on duty.
void make_entry(SemaphoreShared& shared, const CallingThread& me);
// How many tracked permits the calling thread holds. Others may be taking them back just now.
[[nodiscard]] std::uint32_t held_by(const SemaphoreShared& shared,
                                    const CallingThread& me) noexcept;

// Adds to the value alone. False: there would be more than `most`.
[[nodiscard]] bool add_bare(SemaphoreShared& shared, PermitWaker& waker,
                            std::uint32_t count) noexcept;

// Sets asleep_bit; false: there are permits.
[[nodiscard]] bool announce_sleep(SemaphoreShared& shared) noexcept;

// The guard of a semaphore, with what a dead holder left made good.
class PermitBooks {
 public:
  PermitBooks(SemaphoreShared& shared, const CallingThread& me, PermitWaker& waker)
      : shared_(shared), me_(me), waker_(waker), guard_(shared.guard, shared.head) {
    finish_log();
  }
  PermitBooks(const PermitBooks&) = delete;
  PermitBooks& operator=(const PermitBooks&) = delete;

  // A permit for the calling thread; false: there is none. REQUIRES: make_entry().
  [[nodiscard]] bool take();
  // Gives back what the dead hold.
  void settle_deaths() noexcept;
  // The same; the living who hold something, but for the calling thread.
  [[nodiscard]] std::vector<Owner> collect();
  // Gives back up to `count` permits of that thread; how many.
  std::uint32_t give(const Owner& owner, std::uint32_t count) noexcept;

 private:
  void finish_log() noexcept;
  [[nodiscard]] bool change(const Owner& owner, std::uint32_t count, std::int64_t by) noexcept;

  SemaphoreShared& shared_;
  const CallingThread& me_;
  PermitWaker& waker_;
  QuietGuard guard_;
};

}  // namespace procession::detail
