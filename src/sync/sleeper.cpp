#include "sync/sleeper.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>

#include "sync/bell_watch.hpp"
#include "sync/watched.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

constinit std::atomic<bool> single_word{false};

// The kernel's struct futex_waitv and its flags. futex_wait_any() does not serve: here it matters
// which word woke us, and some words are only compared.
struct KernelWaitWord {
  std::uint64_t value;
  std::uint64_t address;
  std::uint32_t flags;
  std::uint32_t reserved;
};
constexpr long sys_futex_waitv = 449;  // the same number on every architecture
constexpr std::uint32_t listen = 2;    // FUTEX_32, shared between processes
// A private futex is another one than the shared futex at its address: nobody ever wakes it.
constexpr std::uint32_t compare_only = listen | FUTEX_PRIVATE_FLAG;

class WaitList {
 public:
  std::size_t add(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                  std::uint32_t flags) noexcept {
    words_[count_] = {expected, reinterpret_cast<std::uintptr_t>(&word), flags, 0};
    return count_++;
  }
  // The index of the last word of the list that was woken, -1 if none was, -2 at the deadline.
  int wait(Deadline deadline) {
    std::timespec until{};
    if (deadline) {
      const auto since_boot = deadline->time_since_epoch();
      const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
      until = {static_cast<std::time_t>(seconds.count()),
               static_cast<long>(std::chrono::nanoseconds(since_boot - seconds).count())};
      if (until.tv_sec < 0) until = {0, 0};
    }
    for (;;) {
      const long woken = syscall(sys_futex_waitv, words_.data(), count_, 0,
                                 deadline ? &until : nullptr, CLOCK_MONOTONIC);
      if (woken >= 0) return static_cast<int>(woken);
      if (errno == EAGAIN) return -1;
      if (errno == ETIMEDOUT) return -2;
      if (errno != EINTR) throw_system_error(errno, "wait on futexes");
    }
  }

 private:
  static constexpr std::size_t for_owners = 4 + most_unchanged + 3 * most_watched;
  static constexpr std::size_t for_words = 2 + (2 + most_unchanged) * (most_heard + 1);
  static_assert(std::max(for_owners, for_words) <= max_wait_words);
  std::array<KernelWaitWord, std::max(for_owners, for_words)> words_;
  std::size_t count_ = 0;
};

}  // namespace

bool can_listen_to_many() noexcept {
  return have_futex_waitv() && !single_word.load(std::memory_order_relaxed);
}

void pretend_single_word_kernel() noexcept { single_word.store(true); }

void Sleeper::wake(int count) noexcept {
  go_on_duty();
  futex_wake(word_, count);
}

void Sleeper::wake_all() noexcept {
  go_on_duty();
  futex_wake(word_, INT_MAX);
}

WaitResult Sleeper::sleep(std::uint32_t expected, std::span<const Owner> owners, DeathNews news,
                          Deadline deadline, std::span<const Unchanged> also) {
  if (!can_listen_to_many()) {
    const DeathWatch owners_watch(word_, owners, news);
    const BellWatch bell_watch(word_);
    go_on_duty();
    // A ring from here on wakes it; what an earlier one was for can be seen.
    for (const Unchanged& each : also) {
      if (each.word != nullptr && each.word->load(std::memory_order_seq_cst) != each.expected) {
        return WaitResult::Woken;
      }
    }
    return futex_wait(word_, expected, deadline);
  }
  const std::size_t listened = std::min(owners.size(), most_watched);
  const DeathWatch watch(word_, owners.subspan(listened), news);
  go_on_duty();
  return sleep_on_many(expected, {}, owners.first(listened), deadline, also);
}

WaitResult Sleeper::sleep_on_many(std::uint32_t expected, std::span<const Heard> others,
                                  std::span<const Owner> owners, Deadline deadline,
                                  std::span<const Unchanged> also) {
  ThreadTable& table = thread_table();
  const std::uint32_t round = table.rounds.load(std::memory_order_acquire);
  std::array<std::uint32_t, most_watched> alive{};
  for (std::size_t i = 0; i < owners.size(); ++i) {
    // The kernel wakes for a token only where it finds this bit.
    const Watched owner = watched(owners[i]);
    alive[i] = owner.token.load(std::memory_order_acquire);
    if (owner.token_is_dead()) return WaitResult::Woken;
    if ((alive[i] & FUTEX_WAITERS) == 0 &&
        !owner.token.compare_exchange_strong(alive[i], alive[i] | FUTEX_WAITERS,
                                             std::memory_order_acq_rel)) {
      return WaitResult::Woken;
    }
    alive[i] |= FUTEX_WAITERS;
  }
  WaitList list;
  list.add(word_, expected, listen);
  for (const Heard& each : others) list.add(*each.word, each.expected, listen);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    list.add(watched(owners[i]).token, alive[i], listen);
  }
  const auto bell = static_cast<int>(list.add(table.bell, 0, listen));
  list.add(word_, expected, compare_only);  // invariant 2
  for (const Heard& each : others) list.add(*each.word, each.expected, compare_only);
  for (const Unchanged& each : also) {
    if (each.word != nullptr) list.add(*each.word, each.expected, compare_only);
  }
  list.add(table.rounds, round, compare_only);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const Watched owner = watched(owners[i]);
    list.add(owner.token, alive[i], compare_only);
    list.add(owner.identity, owner.expected, compare_only);
  }
  const int woken = list.wait(deadline);
  if (woken == bell && table.rounds.load(std::memory_order_acquire) == round) {
    table.rounds.fetch_add(1, std::memory_order_acq_rel);
    futex_wake(table.bell, INT_MAX);
  }
  for (const Owner& owner : owners) {
    const Watched watch = watched(owner);
    if (watch.token_is_dead()) futex_wake(watch.token, INT_MAX);
  }
  return woken == -2 ? WaitResult::TimedOut : WaitResult::Woken;
}

}  // namespace procession::detail
