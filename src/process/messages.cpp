#include "process/messages.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "system/errors.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t most_descriptors = 4;
constexpr std::size_t control_bytes = CMSG_SPACE(sizeof(int) * most_descriptors);

}  // namespace

namespace {

SendOutcome send_with(int socket, std::span<const std::byte> bytes,
                      std::span<const int> descriptors, int flags) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &message, MSG_NOSIGNAL | flags) >= 0) return SendOutcome::Sent;
    if (errno == EPIPE || errno == ECONNRESET) return SendOutcome::PeerGone;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SendOutcome::Full;
    if (errno != EINTR) throw_system_error(errno, "send a message to another process");
  }
}

}  // namespace

bool send_message(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) {
  return send_with(socket, bytes, descriptors, 0) == SendOutcome::Sent;
}

SendOutcome try_send_message(int socket, std::span<const std::byte> bytes,
                             std::span<const int> descriptors) {
  return send_with(socket, bytes, descriptors, MSG_DONTWAIT);
}

Received receive_message(int socket, std::span<std::byte> bytes) {
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == ECONNRESET) got = 0;
  if (got < 0) throw_system_error(errno, "receive a message of another process");
  Received received{static_cast<std::size_t>(got), {}};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.descriptors.emplace_back(fd);
    }
  }
  return received;
}

}  // namespace procession::detail
