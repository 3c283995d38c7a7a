// The connections that this process has open: from the object in the family memory to the
// descriptor here.
//
// Invariants:
//   1. An object has an entry here exactly while this process has handles to it; the entry counts
//      them. So an object that takes a former one's address never meets its entry.
//   2. Who is in a call holds the descriptor: its number is not given away before the call ends.
//   3. What was closed or lost stays so as long as the entry is there.
// Thread-safe. A forked child has the entries and descriptors of its parent.
#pragma once

#include <memory>

#include "procession/detail/memory.hpp"
#include "system/descriptor.hpp"

namespace procession::detail {

using OpenDescriptor = std::shared_ptr<const Descriptor>;

// The first handle of this process, to a new object. Throws std::bad_alloc.
void enter_connection(Object* connection, Descriptor descriptor);

// Throws StateError when it is closed here, ConnectionClosed when its descriptor was lost.
[[nodiscard]] OpenDescriptor open_descriptor(Object* connection);

void close_connection(Object* connection) noexcept;
[[nodiscard]] bool connection_is_closed(Object* connection) noexcept;

}  // namespace procession::detail
