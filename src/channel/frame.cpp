#include "channel/frame.hpp"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "procession/errors.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t first_piece = 1 << 20;
constexpr std::uint64_t longest_short = 0x7fffffff;

void put(std::uint64_t value, std::span<std::byte> bytes) noexcept {
  for (std::size_t i = bytes.size(); i-- > 0; value >>= 8) bytes[i] = static_cast<std::byte>(value);
}

std::uint64_t get(std::span<const std::byte> bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::byte each : bytes) value = value << 8 | static_cast<std::uint64_t>(each);
  return value;
}

[[noreturn]] void throw_no_length() {
  throw ConnectionClosed(
      "the peer of a connection sent something that is no message: its length is below zero; the "
      "peer must speak the format of Python's multiprocessing.connection");
}

}  // namespace

std::size_t write_length(std::uint64_t length,
                         std::array<std::byte, long_header>& header) noexcept {
  const std::span<std::byte> bytes(header);
  if (length <= longest_short) {
    put(length, bytes.first(short_header));
    return short_header;
  }
  put(0xffffffff, bytes.first(short_header));
  put(length, bytes.subspan(short_header));
  return long_header;
}

std::optional<std::uint64_t> read_short_length(std::span<const std::byte, short_header> header) {
  const std::uint64_t value = get(header);
  if (value <= longest_short) return value;
  if (value == 0xffffffff) return std::nullopt;
  throw_no_length();
}

std::uint64_t read_long_length(std::span<const std::byte, 8> header) { return get(header); }

bool wait_for_descriptors(std::span<pollfd> wanted, TimePoint deadline) {
  for (;;) {
    timespec left{};
    if (deadline != TimePoint::max()) {
      const auto now = TimePoint::clock::now();
      const auto rest = deadline > now ? deadline - now : TimePoint::duration::zero();
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
      left.tv_sec = seconds.count();
      left.tv_nsec = std::chrono::nanoseconds(rest - seconds).count();
    }
    const int ready = ppoll(wanted.data(), wanted.size(),
                            deadline == TimePoint::max() ? nullptr : &left, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) throw_system_error(errno, "wait for a connection");
  }
}

bool wait_for_descriptor(int descriptor, short events, TimePoint deadline) {
  pollfd wanted{descriptor, events, 0};
  return wait_for_descriptors(std::span(&wanted, 1), deadline);
}

ssize_t FrameReader::receive(std::span<std::byte> room, int flags) const {
  for (;;) {
    const ssize_t got = recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT | flags);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return -1;
    if (errno == ECONNRESET) {
      throw ConnectionClosed(
          "the peer of a connection is gone, and what it had not read is lost: it closed the "
          "connection, or died; end the work with it, or connect again");
    }
    if (errno != EINTR) throw_system_error(errno, "receive from a connection");
  }
}

ssize_t FrameReader::peek(std::span<std::byte> room) const { return receive(room, MSG_PEEK); }

void FrameReader::read_all(std::span<std::byte> room) const {
  while (!room.empty()) {
    const ssize_t got = read_some(room);
    if (got == 0) {
      throw ConnectionClosed(
          "a connection ended in the middle of a message: the peer died while it was sending, or "
          "somebody gave up in the middle; the part that came is lost");
    }
    if (got > 0) {
      room = room.subspan(static_cast<std::size_t>(got));
    } else if (!wait_for_descriptor(descriptor_, POLLIN, deadline_)) {
      throw TimeoutError("the peer of a connection has not sent the rest of a message in time");
    }
  }
}

std::uint64_t FrameReader::read_length(std::array<std::byte, long_header>& header) const {
  const std::span<std::byte> bytes(header);
  read_all(bytes.first(short_header));
  if (const auto length = read_short_length(std::span(header).first<short_header>())) {
    return *length;
  }
  read_all(bytes.subspan(short_header));
  return read_long_length(std::span(header).last<8>());
}

std::vector<std::byte> FrameReader::read_body(std::uint64_t length) const {
  std::vector<std::byte> body;
  while (body.size() < length) {
    const std::size_t have = body.size();
    const std::uint64_t piece = std::max<std::uint64_t>(first_piece, have);
    body.resize(static_cast<std::size_t>(std::min(length, have + piece)));
    read_all(std::span(body).subspan(have));
  }
  return body;
}

void FrameReader::skip(std::uint64_t length) const {
  std::array<std::byte, 4096> room;
  while (length != 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(length, room.size()));
    read_all(std::span(room).first(part));
    length -= part;
  }
}

std::vector<std::byte> read_frame(int descriptor, std::size_t most, TimePoint deadline) {
  const FrameReader reader(descriptor, deadline);
  std::array<std::byte, long_header> header;
  const std::uint64_t length = reader.read_length(header);
  if (length > most) {
    throw BufferTooShort("a message of " + std::to_string(length) + " bytes came where at most " +
                         std::to_string(most) + " are allowed; the connection cannot go on");
  }
  return reader.read_body(length);
}

void write_frame(int descriptor, std::span<const std::byte> bytes, TimePoint deadline) {
  std::array<std::byte, long_header> header;
  const std::span<std::byte> length(header.data(), write_length(bytes.size(), header));
  std::vector<std::byte> whole(length.begin(), length.end());
  whole.insert(whole.end(), bytes.begin(), bytes.end());
  for (std::span<const std::byte> rest(whole); !rest.empty();) {
    const ssize_t sent = send(descriptor, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for_descriptor(descriptor, POLLOUT, deadline)) {
        throw TimeoutError("the peer of a connection has not taken a message in time");
      }
    } else if (errno == EPIPE || errno == ECONNRESET) {
      throw ConnectionClosed("the peer of a connection is gone: it closed it, or died");
    } else if (errno != EINTR) {
      throw_system_error(errno, "send to a connection");
    }
  }
}

}  // namespace procession::detail
