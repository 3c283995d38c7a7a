// What strangers can send to a connection: messages, and what is to prove a key.
//
// The first byte of an input says as what the rest is read. Nothing may crash, hang, allocate what
// was only announced, or let anybody in who does not know the key.
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "channel/frame.hpp"
#include "channel/handshake_link.hpp"
#include "procession/errors.hpp"

namespace {

using namespace procession;
using namespace procession::detail;

constexpr std::size_t longest = 64 << 10;

// The end that is read; the input has been sent at the other, which is closed.
Descriptor sent(std::span<const std::uint8_t> input) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) std::abort();
  const Descriptor from(pair[1]);
  Descriptor to(pair[0]);
  if (!input.empty() && send(from.get(), input.data(), input.size(), MSG_NOSIGNAL) < 0) {
    std::abort();
  }
  shutdown(from.get(), SHUT_WR);
  return to;
}

void read_messages(std::span<const std::uint8_t> input) {
  const Descriptor end = sent(input);
  std::size_t whole = 0;
  try {
    for (;;) whole += short_header + read_frame(end.get(), longest, TimePoint::min()).size();
  } catch (const ProcessError&) {
    if (whole > input.size()) std::abort();  // it came from nowhere
  }
}

void prove(std::span<const std::uint8_t> input, Handshake::Role role) {
  const std::optional<std::string> key("a key that the input does not know");
  HandshakeLink link(sent(input), key, role, TimePoint::max());
  try {
    if (link.step() == HandshakeLink::Progress::Done) std::abort();
  } catch (const AuthenticationError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > longest) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_messages(rest);
      break;
    case 1:
      prove(rest, Handshake::Role::Listener);
      break;
    default:
      prove(rest, Handshake::Role::Client);
  }
  return 0;
}
