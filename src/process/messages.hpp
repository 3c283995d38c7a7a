// Messages with descriptors over a SOCK_SEQPACKET pair.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "system/descriptor.hpp"

namespace procession::detail {

// False: the peer is gone. Throws SystemError for anything else. May block while the peer's
// buffer is full.
bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors);

// The same without blocking.
enum class SendOutcome { Sent, Full, PeerGone };
SendOutcome try_send_message(int socket, std::span<const std::byte> bytes,
                             std::span<const int> descriptors);

struct Received {
  std::size_t bytes;                    // 0: the peer is gone
  std::vector<Descriptor> descriptors;  // close-on-exec
};
Received receive_message(int socket, std::span<std::byte> bytes);

}  // namespace procession::detail
