#include "channel/handshake_link.hpp"

#include <span>

#include "procession/errors.hpp"

namespace procession::detail {

HandshakeLink::HandshakeLink(Descriptor socket, const std::optional<std::string>& key,
                             Handshake::Role role, TimePoint deadline)
    : socket_(std::move(socket)), deadline_(deadline) {
  if (!key) return;
  Handshake::Outbox outbox;
  handshake_.emplace(*key, role, outbox);
  send_all(outbox);
}

// These few bytes always have room, unless the peer is gone or up to something.
void HandshakeLink::send_all(const Handshake::Outbox& outbox) {
  try {
    for (const std::string& each : outbox) {
      write_frame(socket_.get(), std::as_bytes(std::span(each)), TimePoint::min());
    }
  } catch (const ConnectionClosed&) {
    gone_ = true;
  } catch (const TimeoutError&) {
    gone_ = true;
  }
}

HandshakeLink::Progress HandshakeLink::step() {
  try {
    while (handshake_ && !handshake_->done() && !gone_) {
      const FrameReader reader(socket_.get());
      const ssize_t got = reader.read_some(std::span(buffer_).subspan(have_, want_ - have_));
      if (got < 0) return Progress::More;
      if (got == 0) return Progress::Gone;
      have_ += static_cast<std::size_t>(got);
      if (have_ == want_) take_message();
    }
  } catch (const ConnectionClosed&) {
    return Progress::Gone;
  }
  return gone_ ? Progress::Gone : Progress::Done;
}

void HandshakeLink::take_message() {
  if (want_ == short_header) {
    const auto header = std::span<const std::byte>(buffer_).first<short_header>();
    std::uint64_t length = 0;
    for (const std::byte each : header) length = length << 8 | static_cast<std::uint64_t>(each);
    if (length > longest_handshake_message) {
      throw AuthenticationError(
          "the peer of a connection is not let in: it sent a message of more than 256 bytes where "
          "it had to prove that it knows the key; give it the key, or listen without one");
    }
    want_ += static_cast<std::size_t>(length);
    if (length != 0) return;
  }
  const std::string message(reinterpret_cast<const char*>(buffer_.data()) + short_header,
                            want_ - short_header);
  have_ = 0;
  want_ = short_header;
  Handshake::Outbox outbox;
  try {
    handshake_->take(message, outbox);
  } catch (...) {
    send_all(outbox);
    throw;
  }
  send_all(outbox);
}

}  // namespace procession::detail
