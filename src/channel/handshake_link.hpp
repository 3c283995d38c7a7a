// A Handshake over a socket, a step at a time.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "channel/frame.hpp"
#include "channel/handshake.hpp"
#include "system/descriptor.hpp"

namespace procession::detail {

class HandshakeLink {
 public:
  // `key` must outlive it; none: there is nothing to prove. Sends what is to be sent first.
  HandshakeLink(Descriptor socket, const std::optional<std::string>& key, Handshake::Role role,
                TimePoint deadline);

  enum class Progress { More, Done, Gone };
  // Takes what is there, without blocking, and not a byte of what follows the handshake. Throws
  // AuthenticationError, of which the peer is told.
  Progress step();

  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
  [[nodiscard]] Descriptor take_socket() noexcept { return std::move(socket_); }

 private:
  void take_message();
  void send_all(const Handshake::Outbox& outbox);
  Descriptor socket_;
  TimePoint deadline_;
  std::optional<Handshake> handshake_;
  std::array<std::byte, short_header + longest_handshake_message> buffer_{};
  std::size_t have_ = 0;
  std::size_t want_ = short_header;
  bool gone_ = false;
};

}  // namespace procession::detail
