// Notices the end of threads for a sleeper that cannot listen to their life tokens itself: where
// the kernel lets a thread wait for one word only, or where there are more of them than it can wait
// for.
//
// A thread of the sleeper's process sleeps on such a token; one for each thread of the family that
// this process has waited for in this way and that still lives. At that thread's end it settles the
// death in everything that waits of this process are for, which changes the words they sleep on,
// and wakes who sleeps there. Nothing is polled.
//
// Example:
//   const DeathWatch watch(word, owners, {settle, &core});   // for as long as the waiter sleeps
//   futex_wait(word, expected);
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "sync/thread_table.hpp"

namespace procession::detail {

// What is to be done about a death. `settle` is called in any thread of the process, at any time
// until the sleep is over, with the owner's word; it must not block. If what the sleepers wait for
// still names the dead, then the word that they sleep on is another one afterwards.
struct DeathNews {
  void (*settle)(void* context, std::uint64_t owner) noexcept = nullptr;
  void* context = nullptr;
};

class DeathWatch {
 public:
  // Throws SystemError when no thread can be started.
  DeathWatch(const std::atomic<std::uint32_t>& word, std::span<const Owner> owners, DeathNews news);
  ~DeathWatch() { forget(); }
  DeathWatch(const DeathWatch&) = delete;
  DeathWatch& operator=(const DeathWatch&) = delete;

 private:
  void forget() noexcept;

  std::vector<std::uint64_t> owners_;
};

}  // namespace procession::detail
