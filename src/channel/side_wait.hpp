// Threads that wait beside the one that called wait(): for descriptors while that sleeps on words,
// or for words that are too many for one sleep.
//
// Each pokes the caller when there is something, and ends; or ends when the caller leaves.
//
// Example:
//   std::atomic<std::uint32_t> poked{0};
//   const DescriptorWait descriptors({3, 4}, poked);
//   while (poked == 0 && nothing is ready here) sleep on `poked` and other words;
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "procession/detail/wait_entry.hpp"
#include "sync/sleeper.hpp"
#include "sync/wait_source.hpp"
#include "system/descriptor.hpp"
#include "system/quiet_thread.hpp"

namespace procession::detail {

// So many entries without a descriptor can be slept on by one thread.
[[nodiscard]] std::size_t most_sources() noexcept;

// What one thread sleeps on.
class SourceGroup {
 public:
  void add(const WaitEntry& entry, std::uint64_t since) { sources_.push_back({&entry, since}); }
  [[nodiscard]] bool empty() const noexcept { return sources_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return sources_.size(); }
  // Blocks until something may be ready in the group, `other` has changed from 0, or the deadline.
  // True: something was ready. REQUIRES: not empty.
  bool sleep(const std::atomic<std::uint32_t>& other, TimePoint deadline);
  // Wakes all who sleep on the words of the group.
  void disturb() const noexcept;

 private:
  struct Source {
    const WaitEntry* entry;
    std::uint64_t since;
    std::atomic<const std::atomic<std::uint32_t>*> word = nullptr;
    Source(const WaitEntry* what, std::uint64_t from) : entry(what), since(from) {}
    Source(Source&& other) noexcept : entry(other.entry), since(other.since) {}
  };
  std::vector<Source> sources_;
};

class DescriptorWait {
 public:
  // Blocks for the start of a thread. Throws SystemError.
  DescriptorWait(std::vector<pollfd> wanted, std::atomic<std::uint32_t>& poked);
  ~DescriptorWait();

 private:
  void run() noexcept;
  std::atomic<std::uint32_t>& poked_;
  std::vector<pollfd> wanted_;
  Descriptor stop_;  // eventfd
  QuietThread thread_;
};

class SourceWait {
 public:
  // Blocks for the start of a thread. Throws SystemError.
  SourceWait(SourceGroup&& group, std::atomic<std::uint32_t>& poked);
  ~SourceWait();

 private:
  void run() noexcept;
  std::atomic<std::uint32_t>& poked_;
  SourceGroup group_;
  std::atomic<std::uint32_t> stop_{0};
  std::atomic<bool> ended_{false};
  QuietThread thread_;
};

}  // namespace procession::detail
