// What a Connection is made of, and the part of its work that does not depend on types.
//
// Invariants: src/channel/connection_core.cpp. The functions are thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "procession/detail/deadline.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/queue_core.hpp"
#include "procession/detail/stream.hpp"

namespace procession::detail {

struct ConnectionShared;  // src/channel/connection_core.hpp

// What precedes an encoded value. In another program that is the same build it means the same.
struct MessageHead {
  std::uint32_t magic;
  std::uint32_t type;    // hash of its name
  std::uint64_t parcel;  // the number of the block that has the value, 0: it follows
  std::uint64_t bytes;   // of head and value
};

// FNV-1a.
constexpr std::uint32_t type_hash(std::string_view name) noexcept {
  std::uint32_t hash = 2166136261U;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
  return hash;
}

// A value that has come in: in a buffer of this process, or in the block that it was sent as.
struct ReceivedMessage {
  std::vector<std::byte> buffer;
  TakenItem parcel;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  bool from_family = false;  // else from a peer of a Listener or Client, whoever that is
};

inline constexpr std::size_t any_length = std::numeric_limits<std::size_t>::max();

// For all of these `connection` is open in this process, else they throw StateError.
void connection_send_bytes(Object* connection, std::span<const std::byte> bytes);
std::vector<std::byte> connection_recv_bytes(Object* connection, std::size_t most);
std::size_t connection_recv_into(Object* connection, std::span<std::byte> room);
void connection_send(Object* connection, Writer& message, std::uint32_t type);
void connection_recv(Object* connection, ReceivedMessage& message, std::uint32_t type,
                     std::string_view type_name);
[[nodiscard]] bool connection_poll(Object* connection, TimePoint deadline);

// This process's handles to a connection are counted: with the last its descriptor is closed. The
// first asks for the descriptor (descriptor_keeper.hpp). Throws OutOfMemory, SystemError.
void count_connection_handle(Object* connection);
void drop_connection_handle(Object* connection) noexcept;

}  // namespace procession::detail
