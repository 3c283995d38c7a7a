// One end of a connection, as all processes of the family share it.
//
// Invariants:
//   1. Who is between the first and the last byte of a message holds the mutex of that direction,
//      and its `inside` is 1. A message that the kernel takes or refuses as a whole has no inside.
//   2. A direction is broken, for every process and for good, when somebody died inside, or gave
//      up inside. Who finds that shuts that direction down, so that the peer learns of it.
//   3. Nobody waits for a peer's first byte, or for room for its own, while it holds a mutex.
//   4. A parcel is in the outbox before the message that names it is sent; both in one turn of
//      out.mutex. So numbers in the outbox rise as those in the messages do, and one below the
//      number looked for belongs to a message that was never sent, or whose receiver died.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/robust_mutex.hpp"
#include "procession/connection.hpp"
#include "procession/detail/connection_core.hpp"
#include "system/descriptor.hpp"

namespace procession::detail {

// One way of a connection's end: in or out.
struct Direction {
  RobustMutex mutex;
  std::atomic<std::uint32_t> inside;
  std::atomic<std::uint32_t> broken;
  std::uint32_t open;  // this end has that direction at all
};

struct ConnectionShared {
  Object head;
  std::uint64_t number;       // in the family, never used again
  std::uint64_t whole_bytes;  // what the kernel sends as a whole: up to so many, at once or not
  std::atomic<std::uint64_t> limit;
  Direction in, out;
  Object* inbox;  // queues of messages that carry handles; references are the object's. Or nullptr
  Object* outbox;
  std::uint64_t parcels;  // sent; under out.mutex
};

inline ConnectionShared& connection_of(Object* object) noexcept {
  return *reinterpret_cast<ConnectionShared*>(object);
}

// How an end is made.
struct EndPlan {
  Descriptor socket;
  bool reads = true, writes = true;
  bool local = true;  // a unix socket
  Object* inbox = nullptr;
  Object* outbox = nullptr;
};

}  // namespace procession::detail

namespace procession {
struct ConnectionAccess {
  // Throws OutOfMemory.
  static Connection make(detail::EndPlan plan);
};
}  // namespace procession
