#include "channel/socket_address.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "channel/frame.hpp"
#include "channel/socket_file.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw std::invalid_argument("\"" + text + "\" is no address of a connection: " + why +
                              "; write \"unix:/path\" or \"tcp:host:port\"");
}

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses resolve_host(const SocketAddress& address) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &list);
  if (error == 0) return Addresses(list);
  throw SystemError(
      error == EAI_SYSTEM ? errno : EADDRNOTAVAIL, "resolve",
      "cannot find the host of " + address.text + ": " + gai_strerror(error) + "; check its name");
}

// Throws nothing; errno tells. A connect that a signal interrupts goes on by itself.
bool connect_socket(int socket, const sockaddr* address, socklen_t length) {
  if (connect(socket, address, length) == 0) return true;
  if (errno != EINTR) return false;
  (void)wait_for_descriptor(socket, POLLOUT, TimePoint::max());
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

std::string show(int socket) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length);
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  getnameinfo(reinterpret_cast<const sockaddr*>(&bound), length, host.data(), host.size(),
              port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  const bool six = bound.ss_family == AF_INET6;
  return std::string("tcp:") + (six ? "[" : "") + host.data() + (six ? "]:" : ":") + port.data();
}

}  // namespace

SocketAddress parse_address(const std::string& text) {
  constexpr std::string_view unix_prefix = "unix:", tcp_prefix = "tcp:";
  SocketAddress address;
  address.text = text;
  const std::string_view view(text);
  if (view.starts_with(unix_prefix)) {
    address.local = true;
    address.path = text.substr(unix_prefix.size());
    if (address.path.empty()) refuse(text, "the path is missing");
    if (address.path.find('\0') != std::string::npos) refuse(text, "the path holds a zero byte");
    if (address.path.size() > longest_socket_path) {
      refuse(text, "the path is longer than " + std::to_string(longest_socket_path) + " bytes");
    }
    return address;
  }
  if (!view.starts_with(tcp_prefix)) refuse(text, "it names neither unix nor tcp");
  const std::size_t colon = text.rfind(':');
  if (colon < tcp_prefix.size()) refuse(text, "the port is missing");
  address.host = text.substr(tcp_prefix.size(), colon - tcp_prefix.size());
  address.port = text.substr(colon + 1);
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    refuse(text, "an IPv6 address has to be in brackets");
  }
  if (address.host.empty()) refuse(text, "the host is missing");
  std::uint16_t port = 0;
  const char* end = address.port.data() + address.port.size();
  const auto read = std::from_chars(address.port.data(), end, port);
  if (read.ec != std::errc() || read.ptr != end) {
    refuse(text, "the port is no number from 0 to 65535");
  }
  return address;
}

Descriptor connect_to(const SocketAddress& address) {
  if (address.local) {
    Descriptor end(above_standard(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (!end) throw_system_error(errno, "make a socket");
    const sockaddr_un there = socket_path(address.path);
    if (connect_socket(end.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there)) {
      return end;
    }
    throw_system_error(errno, "connect to " + address.text);
  }
  int error = EADDRNOTAVAIL;
  const Addresses list = resolve_host(address);
  for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
    Descriptor end(above_standard(socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (end && connect_socket(end.get(), each->ai_addr, each->ai_addrlen)) {
      send_at_once(end.get());
      return end;
    }
    error = errno;
  }
  throw_system_error(error, "connect to " + address.text);
}

Descriptor listen_on_tcp(const SocketAddress& address, int backlog, std::string& shown) {
  int error = EADDRNOTAVAIL;
  const Addresses list = resolve_host(address);
  for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
    Descriptor end(
        above_standard(socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    const int yes = 1;
    if (end && setsockopt(end.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(end.get(), each->ai_addr, each->ai_addrlen) == 0 && listen(end.get(), backlog) == 0) {
      shown = show(end.get());
      return end;
    }
    error = errno;
  }
  throw_system_error(error, "listen at " + address.text);
}

void send_at_once(int tcp_socket) noexcept {
  const int yes = 1;
  setsockopt(tcp_socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace procession::detail
