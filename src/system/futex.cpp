#include "system/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "system/errors.hpp"

namespace procession::detail {
namespace {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

constexpr long sys_futex_waitv = 449;  // the same number on every architecture

// The kernel's struct futex_waitv, which the headers of older systems lack.
struct KernelWaitWord {
  std::uint64_t value;
  std::uint64_t address;
  std::uint32_t flags;
  std::uint32_t reserved;
};
constexpr std::uint32_t word_of_32_bits = 2;  // FUTEX_32; without FUTEX_PRIVATE_FLAG: shared

// The kernel refuses times before the boot; for a deadline these mean the same as zero.
std::timespec to_timespec(std::chrono::steady_clock::time_point time) noexcept {
  const auto since_boot = time.time_since_epoch();
  if (since_boot.count() <= 0) return {0, 0};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const auto rest = std::chrono::nanoseconds(since_boot - seconds);
  return {static_cast<std::time_t>(seconds.count()), static_cast<long>(rest.count())};
}

// The outcome of a wait from its errno; nothing: wait again.
std::optional<WaitResult> outcome(int error) {
  if (error == EINTR) return std::nullopt;
  if (error == EAGAIN) return WaitResult::Woken;
  if (error == ETIMEDOUT) return WaitResult::TimedOut;
  throw_system_error(error, "wait on a futex");
}

}  // namespace

WaitResult futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline) {
  std::timespec until{};
  if (deadline) until = to_timespec(*deadline);
  for (;;) {
    // FUTEX_WAIT takes a relative time, which a signal would start anew; the bitset form an
    // absolute one.
    if (::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, deadline ? &until : nullptr,
                  nullptr, FUTEX_BITSET_MATCH_ANY) == 0) {
      return WaitResult::Woken;
    }
    if (const auto result = outcome(errno)) return *result;
  }
}

int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<int>(woken);
}

WaitResult futex_wait_any(std::span<const WaitWord> words, Deadline deadline) {
  if (words.size() == 1) return futex_wait(*words[0].word, words[0].expected, deadline);
  std::array<KernelWaitWord, max_wait_words> list;
  if (words.empty() || words.size() > list.size()) throw_system_error(EINVAL, "wait on futexes");
  for (std::size_t i = 0; i < words.size(); ++i) {
    list[i] = {words[i].expected, reinterpret_cast<std::uintptr_t>(words[i].word), word_of_32_bits,
               0};
  }
  std::timespec until{};
  if (deadline) until = to_timespec(*deadline);
  for (;;) {
    if (::syscall(sys_futex_waitv, list.data(), words.size(), 0, deadline ? &until : nullptr,
                  CLOCK_MONOTONIC) >= 0) {
      return WaitResult::Woken;
    }
    if (const auto result = outcome(errno)) return *result;
  }
}

bool have_futex_waitv() noexcept {
  // No words is an error the call itself reports, where the call exists.
  static const bool have =
      ::syscall(sys_futex_waitv, nullptr, 0, 0, nullptr, 0) < 0 && errno == EINVAL;
  return have;
}

}  // namespace procession::detail
