// Messages on a byte stream, as Python's multiprocessing.connection has them: the length, four
// bytes, most significant first, and the bytes; from 2 GiB on -1 and the length in eight bytes.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "procession/detail/deadline.hpp"

namespace procession::detail {

inline constexpr std::size_t short_header = 4;
inline constexpr std::size_t long_header = 12;

// Returns how many of the bytes are the header.
std::size_t write_length(std::uint64_t length, std::array<std::byte, long_header>& header) noexcept;
// None: the length is in the eight bytes that follow. Throws ConnectionClosed for one below -1.
std::optional<std::uint64_t> read_short_length(std::span<const std::byte, short_header> header);
// Throws ConnectionClosed for one below zero.
std::uint64_t read_long_length(std::span<const std::byte, 8> header);

// Blocks until the descriptor reports one of `events`, an error or a hang-up; false: the deadline
// has passed. Throws SystemError.
bool wait_for_descriptor(int descriptor, short events, TimePoint deadline);
// The same for one of several.
bool wait_for_descriptors(std::span<pollfd> wanted, TimePoint deadline);

// Where the bytes come from. Nothing of it blocks but through wait_for_descriptor.
class FrameReader {
 public:
  explicit FrameReader(int descriptor, TimePoint deadline = TimePoint::max()) noexcept
      : descriptor_(descriptor), deadline_(deadline) {}

  // Up to so many bytes that are there; 0: the end; -1: nothing there yet. Throws SystemError,
  // ConnectionClosed when the peer has broken off.
  ssize_t read_some(std::span<std::byte> room) const { return receive(room, 0); }
  // The same, and they stay there.
  ssize_t peek(std::span<std::byte> room) const;
  // All of them, or throws ConnectionClosed: the end came first; TimeoutError.
  void read_all(std::span<std::byte> room) const;
  std::uint64_t read_length(std::array<std::byte, long_header>& header) const;
  // The bytes of a message. Memory is taken as they come.
  std::vector<std::byte> read_body(std::uint64_t length) const;
  void skip(std::uint64_t length) const;

 private:
  ssize_t receive(std::span<std::byte> room, int flags) const;
  int descriptor_;
  TimePoint deadline_;
};

// A whole message, for who has the descriptor to itself. Throw ConnectionClosed, TimeoutError;
// BufferTooShort for a message longer than `most`, of which only the length was read then.
std::vector<std::byte> read_frame(int descriptor, std::size_t most, TimePoint deadline);
void write_frame(int descriptor, std::span<const std::byte> bytes, TimePoint deadline);

}  // namespace procession::detail
