// Sending and receiving whole messages. Invariants: connection_core.hpp.
#include "channel/connection_core.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "channel/frame.hpp"
#include "channel/open_connections.hpp"
#include "procession/detail/wait_entry.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

constexpr std::uint32_t message_magic = 0x6d507631;

[[noreturn]] void throw_peer_gone() {
  throw ConnectionClosed(
      "the peer of this Connection is gone: no process has the other end open any more, or the "
      "one that had it died; end the work with it, or connect again");
}

[[noreturn]] void throw_broken(bool receiving) {
  throw ConnectionClosed(
      receiving ? "nothing more can be received at this Connection: an earlier receive ended "
                  "inside a message, because that was too long or its receiver died or gave up; "
                  "close it and connect again"
                : "nothing more can be sent at this Connection: an earlier send ended inside a "
                  "message, because its sender died or gave up; close it and connect again");
}

void require_open(const Direction& way, bool receiving) {
  if (way.open != 0) return;
  throw StateError(receiving ? "this end of a Pipe(false) only sends; receive at the first one"
                             : "this end of a Pipe(false) only receives; send at the second one");
}

// One message's turn. Invariants 1 and 2; a message that is left by an exception breaks the way.
class Turn {
 public:
  Turn(Direction& way, int descriptor, bool receiving)
      : way_(way), descriptor_(descriptor), receiving_(receiving) {
    if (way_.mutex.lock() && way_.inside.load(std::memory_order_acquire) != 0) give_up();
    if (way_.broken.load(std::memory_order_acquire) == 0) return;
    way_.mutex.unlock();
    throw_broken(receiving);
  }
  ~Turn() {
    if (way_.inside.load(std::memory_order_relaxed) != 0) give_up();
    way_.mutex.unlock();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  void enter() noexcept { way_.inside.store(1, std::memory_order_release); }
  void leave() noexcept { way_.inside.store(0, std::memory_order_release); }

 private:
  void give_up() noexcept {
    way_.broken.store(1, std::memory_order_release);
    shutdown(descriptor_, receiving_ ? SHUT_RD : SHUT_WR);
    leave();
  }
  Direction& way_;
  int descriptor_;
  bool receiving_;
};

// What is still to be sent.
class Pieces {
 public:
  void add(const void* data, std::size_t bytes) noexcept {
    pieces_[count_++] = {const_cast<void*>(data), bytes};
    left_ += bytes;
  }
  [[nodiscard]] std::size_t left() const noexcept { return left_; }
  // What was sent of them now; 0: there is no room.
  std::size_t send(int descriptor) {
    msghdr message{};
    message.msg_iov = pieces_.data() + first_;
    message.msg_iovlen = count_ - first_;
    for (;;) {
      const ssize_t sent = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) return advance(static_cast<std::size_t>(sent));
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno == EPIPE || errno == ECONNRESET) throw_peer_gone();
      if (errno != EINTR) throw_system_error(errno, "send to a connection");
    }
  }

 private:
  std::size_t advance(std::size_t sent) noexcept {
    left_ -= sent;
    for (std::size_t rest = sent; first_ < count_;) {
      iovec& piece = pieces_[first_];
      const std::size_t part = rest < piece.iov_len ? rest : piece.iov_len;
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + part;
      piece.iov_len -= part;
      rest -= part;
      if (piece.iov_len != 0) break;
      ++first_;
    }
    return sent;
  }
  std::array<iovec, 3> pieces_{};
  std::size_t first_ = 0, count_ = 0, left_ = 0;
};

void send_rest(Pieces& pieces, int descriptor) {
  while (pieces.left() != 0) {
    wait_for_descriptor(descriptor, POLLOUT, TimePoint::max());
    pieces.send(descriptor);
  }
}

// Until the whole message is sent, in as many turns as it takes to begin.
void send_pieces(Object* object, Pieces pieces) {
  ConnectionShared& connection = connection_of(object);
  const OpenDescriptor descriptor = open_descriptor(object);
  require_open(connection.out, false);
  for (;;) {
    {
      Turn turn(connection.out, descriptor->get(), false);
      if (pieces.left() > connection.whole_bytes) turn.enter();
      const bool begun = pieces.send(descriptor->get()) != 0;
      if (begun && pieces.left() != 0) turn.enter();
      if (begun) send_rest(pieces, descriptor->get());
      turn.leave();
      if (begun) return;
    }
    wait_for_descriptor(descriptor->get(), POLLOUT, TimePoint::max());
  }
}

// The same for a short message with a parcel: both in one turn, invariant 4. While there is room
// nobody else can take it, so the message needs no wait.
template <class PutParcel>
void send_after_parcel(Object* object, Pieces pieces, PutParcel put_parcel) {
  ConnectionShared& connection = connection_of(object);
  const OpenDescriptor descriptor = open_descriptor(object);
  require_open(connection.out, false);
  for (;;) {
    {
      Turn turn(connection.out, descriptor->get(), false);
      if (wait_for_descriptor(descriptor->get(), POLLOUT, at_once)) {
        put_parcel(connection);
        pieces.send(descriptor->get());
        if (pieces.left() != 0) turn.enter();
        send_rest(pieces, descriptor->get());
        return turn.leave();
      }
    }
    wait_for_descriptor(descriptor->get(), POLLOUT, TimePoint::max());
  }
}

// A message: its header, which `header` has room for, and what is in it.
Pieces pieces_of(std::array<std::byte, long_header>& header, std::span<const std::byte> first,
                 std::span<const std::byte> second = {}) {
  Pieces pieces;
  pieces.add(header.data(), write_length(first.size() + second.size(), header));
  if (!first.empty()) pieces.add(first.data(), first.size());
  if (!second.empty()) pieces.add(second.data(), second.size());
  return pieces;
}

[[noreturn]] void throw_too_long(std::uint64_t length, std::uint64_t most, const char* then) {
  throw BufferTooShort("a message of " + std::to_string(length) +
                       " bytes came where this receive takes at most " + std::to_string(most) +
                       ": " + then);
}

// Calls take(reader, length, turn) for the next message; it ends the turn's message.
template <class Take>
auto receive(Object* object, Take take) {
  ConnectionShared& connection = connection_of(object);
  const OpenDescriptor descriptor = open_descriptor(object);
  require_open(connection.in, true);
  const FrameReader reader(descriptor->get());
  for (;;) {
    {
      Turn turn(connection.in, descriptor->get(), true);
      // Looked at before it is taken: who dies while nothing is there breaks nothing.
      std::array<std::byte, long_header> header;
      const ssize_t there = reader.peek(std::span(header).first(short_header));
      if (there == 0) throw_peer_gone();
      if (there > 0) {
        turn.enter();
        return take(reader, reader.read_length(header), turn);
      }
    }
    wait_for_descriptor(descriptor->get(), POLLIN, TimePoint::max());
  }
}

std::vector<std::byte> take_body(const FrameReader& reader, std::uint64_t length,
                                 std::uint64_t most) {
  if (length > most) {
    throw_too_long(length, most,
                   "nothing more can be received at this end; allow more, or raise set_limit()");
  }
  return reader.read_body(length);
}

// The block that the sender had put into the queue for this message. Invariant 4.
bool take_parcel(ConnectionShared& connection, std::uint64_t number, ReceivedMessage& message) {
  auto& queue = *reinterpret_cast<QueueShared*>(connection.inbox);
  for (;;) {
    auto& parcel = message.parcel;
    if (queue_get(queue, parcel, true, at_once) != QueueOutcome::Done) return false;
    const auto* head = static_cast<const MessageHead*>(parcel.block());
    if (head->parcel == number) {
      message.data = static_cast<const std::byte*>(parcel.block());
      message.bytes = head->bytes;
      return true;
    }
    const bool is_later = head->parcel > number;
    parcel.~TakenItem();  // and the block of `head` with it
    new (&parcel) TakenItem;
    if (is_later) return false;
  }
}

}  // namespace

void connection_send_bytes(Object* object, std::span<const std::byte> bytes) {
  std::array<std::byte, long_header> header;
  send_pieces(object, pieces_of(header, bytes));
}

void connection_send(Object* object, Writer& writer, std::uint32_t type) {
  MessageHead head{message_magic, type, 0, writer.size()};
  const auto head_bytes = std::as_bytes(std::span(&head, 1));
  std::array<std::byte, long_header> header;
  if (!writer.has_handles()) {
    const auto value = writer.bytes().subspan(sizeof head);
    return send_pieces(object, pieces_of(header, head_bytes, value));
  }
  if (connection_of(object).outbox == nullptr) {
    throw NotShippable(
        "Connection::send: the value holds a handle, and the peer may be another program, where "
        "handles mean nothing; send values, or use a Pipe within the family");
  }
  void* block = writer.finish();
  try {
    send_after_parcel(object, pieces_of(header, head_bytes), [&](ConnectionShared& connection) {
      head.parcel = ++connection.parcels;
      *static_cast<MessageHead*>(block) = head;
      auto& queue = *reinterpret_cast<QueueShared*>(connection.outbox);
      (void)queue_put(queue, {block, true}, TimePoint::max());
      block = nullptr;
    });
  } catch (...) {
    if (block != nullptr) deallocate(block);
    throw;
  }
}

std::vector<std::byte> connection_recv_bytes(Object* object, std::size_t most) {
  const std::uint64_t limit = connection_of(object).limit.load(std::memory_order_relaxed);
  return receive(object, [&](const FrameReader& reader, std::uint64_t length, Turn& turn) {
    auto body = take_body(reader, length, most < limit ? most : limit);
    turn.leave();
    return body;
  });
}

std::size_t connection_recv_into(Object* object, std::span<std::byte> room) {
  const std::uint64_t limit = connection_of(object).limit.load(std::memory_order_relaxed);
  return receive(object, [&](const FrameReader& reader, std::uint64_t length, Turn& turn) {
    if (length > limit) (void)take_body(reader, length, limit);
    if (length > room.size()) {
      reader.skip(length);
      turn.leave();
      throw_too_long(length, room.size(), "it is lost, the connection goes on; give it more room");
    }
    reader.read_all(room.first(static_cast<std::size_t>(length)));
    turn.leave();
    return static_cast<std::size_t>(length);
  });
}

void connection_recv(Object* object, ReceivedMessage& message, std::uint32_t type,
                     std::string_view type_name) {
  ConnectionShared& connection = connection_of(object);
  const std::uint64_t limit = connection.limit.load(std::memory_order_relaxed);
  MessageHead head{};
  bool found = true;
  message.from_family = connection.inbox != nullptr;
  receive(object, [&](const FrameReader& reader, std::uint64_t length, Turn& turn) {
    message.buffer = take_body(reader, length, limit);
    message.data = message.buffer.data();
    message.bytes = message.buffer.size();
    if (length >= sizeof head) std::memcpy(&head, message.data, sizeof head);
    if (head.magic == message_magic && head.parcel != 0) {
      found = connection.inbox != nullptr && take_parcel(connection, head.parcel, message);
    }
    turn.leave();
    return 0;
  });
  if (head.magic == message_magic && head.type == type && found) return;
  throw ProcessError("Connection::recv: the message holds no " + std::string(type_name) +
                     (head.magic != message_magic ? ", it was not sent by send()"
                      : head.type != type         ? ", it was sent as another type"
                                          : ": the handles that came with it have been taken") +
                     "; both ends must name the same type, and it is lost");
}

// A broken way has been shut down, which makes its descriptor readable.
WaitEntry connection_entry(Object* object) {
  OpenDescriptor descriptor = open_descriptor(object);
  require_open(connection_of(object).in, true);
  const int number = descriptor->get();
  return {.descriptor = number, .keeps = std::move(descriptor)};
}

bool connection_poll(Object* object, TimePoint deadline) {
  const ConnectionShared& connection = connection_of(object);
  const OpenDescriptor descriptor = open_descriptor(object);
  require_open(connection.in, true);
  if (connection.in.broken.load(std::memory_order_acquire) != 0) return true;
  return wait_for_descriptor(descriptor->get(), POLLIN, deadline);
}

}  // namespace procession::detail
