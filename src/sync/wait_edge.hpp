// Who waits for whom, and which of them must give up.
//
// A thread that is about to sleep for a lock without a time limit publishes in its slot of the
// thread table what it waits for, and only then looks whether that leads back to itself. Its edge
// stays until the attempt is over.
//
// Invariants:
//   1. A thread takes no lock and sets none free while its edge is published, but the one that it
//      waits for. So the lock words along a cycle are older than its youngest edge, and whoever
//      publishes that edge (all publish before they search, sequentially consistent) sees the
//      whole cycle. Nobody needs to look again later.
//   2. A cycle stands at the moment between two readings of all its edges and lock words that
//      agree: the sequence numbers say that each has waited all the time between them.
//   3. Who has found a cycle makes sure of it while it holds ThreadTable::verdict, and withdraws
//      its edge before it lets go. So of those who find the same cycle one is the victim.
//   4. Edges of the dead do not count, and who is dead holds nothing.
//   5. A thread whose edge names an RWLock has no share of it: it would get another at once, or be
//      told of its own share. What its entry says is an attempt (rw_lock_core.cpp, invariant 2).
// The single stores: publish: `sequence` to odd; withdraw, and so the verdict: `sequence` to even.
#pragma once

#include <cstdint>
#include <vector>

#include "procession/detail/memory.hpp"
#include "procession/errors.hpp"
#include "sync/thread_table.hpp"

namespace procession::detail {

// What is waited for, in one word.
struct WaitTarget {
  enum class Kind : std::uint64_t { Owner, Readers };  // of a LockCore; of a ReaderTable
  Kind kind;
  const void* at;
  [[nodiscard]] std::uint64_t word() const noexcept {
    return reinterpret_cast<std::uint64_t>(at) | static_cast<std::uint64_t>(kind);
  }
  static WaitTarget from(std::uint64_t word) noexcept {
    return {static_cast<Kind>(word & 1), reinterpret_cast<const void*>(word & ~std::uint64_t{1})};
  }
};

// The edge of the calling thread, for one attempt. Used by that thread alone.
class PublishedEdge {
 public:
  explicit PublishedEdge(const CallingThread& me) noexcept : me_(me) {}
  ~PublishedEdge() { withdraw(); }
  PublishedEdge(const PublishedEdge&) = delete;
  PublishedEdge& operator=(const PublishedEdge&) = delete;

  // Never blocks. Does nothing where a signal handler has interrupted a wait of this thread: the
  // slot has room for one edge. REQUIRES: not published.
  void publish(WaitTarget target, const Object& named) noexcept;
  void withdraw() noexcept;

  // Not empty: this wait would close that cycle, this thread is the one to give up, and its edge
  // is withdrawn. Blocks only while another thread judges a cycle.
  [[nodiscard]] std::vector<WaitEdge> find_deadlock();

 private:
  const CallingThread& me_;
  bool published_ = false;
};

}  // namespace procession::detail
