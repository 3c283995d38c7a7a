// What the keeper is told, one message each.
#pragma once

#include <atomic>
#include <cstdint>

namespace procession::detail {

// A block at the home of a ticket.
struct Deposit {
  std::uint64_t ticket;
  std::atomic<std::uint32_t> ended;
};

struct KeeperMessage {
  // Keep: with the descriptor. Fetch: with a socket for the answer. End: of a ticket.
  enum class Kind : std::uint32_t { Keep, Fetch, End };
  Kind kind;
  std::uint32_t unused;
  std::uint64_t number;
  std::uint64_t ticket;
  const Deposit* deposit;
};

}  // namespace procession::detail
