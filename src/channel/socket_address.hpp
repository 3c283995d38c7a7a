// Addresses of listeners: "unix:/path", "tcp:host:port".
#pragma once

#include <cstdint>
#include <string>

#include "system/descriptor.hpp"

namespace procession::detail {

struct SocketAddress {
  bool local = false;
  std::string path;        // local
  std::string host, port;  // else; host without brackets
  std::string text;
};

// Throws std::invalid_argument.
SocketAddress parse_address(const std::string& text);

// A stream socket that is connected there. Blocks until the machine answers. Throws SystemError.
Descriptor connect_to(const SocketAddress& address);

// A non-blocking socket that listens there; REQUIRES: not local. `shown` becomes the address with
// the port that it has. Throws SystemError.
Descriptor listen_on_tcp(const SocketAddress& address, int backlog, std::string& shown);

// Small messages leave at once. A hint.
void send_at_once(int tcp_socket) noexcept;

}  // namespace procession::detail
