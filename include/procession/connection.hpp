// Connections: messages in both directions, or one, between two ends.
//
//   auto [mine, theirs] = mp::Pipe();
//   mp::Process worker([theirs] {                    // a handle: captured by value
//     while (auto line = theirs.recv<std::optional<std::string>>()) theirs.send(line->size());
//   });
//   worker.start();
//   theirs.close();                                  // else we would hold the worker's end open
//   mine.send(std::optional<std::string>("hello"));
//   mine.recv<std::size_t>();                        // 5
//   mine.send(std::optional<std::string>());         // the worker ends
//
// What each call makes of each state:
//
// clang-format off
// |                    | nothing there  | message there | no room     | peer gone        | closed here |
// | send, send_bytes   | sends          | sends         | waits       | ConnectionClosed | StateError  |
// | recv, recv_bytes   | waits          | takes         | -           | what was sent before that,  | StateError |
// |                    |                |               |             | then ConnectionClosed       |            |
// | recv_bytes_into    | waits          | takes; BufferTooShort when it is longer: it is lost, the  |
// |                    |                | connection goes on          | as recv_bytes    | StateError  |
// | poll(duration)     | false in time  | true          | -           | true             | StateError  |
// | readable, writable | whether this end can receive, send           |                  | false       |
// | close              | closes         | closes        | closes      | closes           | nothing     |
// | closed             | false          | false         | false       | false            | true        |
// clang-format on
//
// recv on an end that only sends, send on one that only receives: StateError.
//
// Handles and processes. A Connection is a handle: copies name the same end, in every process of
// the family. Each process has a descriptor of its own for it. close() is this process's: all its
// copies are closed, for good while one of them exists; others go on. The last handle of a
// process closes its descriptor, too. The peer is told (ConnectionClosed) when no process has the
// end open any more and nothing that is on its way names it: an item in a queue, a call that a
// pool has not finished. A process that dies closes its ends with it. How a descriptor gets to
// another process: docs/decisions/0008-connections.md. Sending one for the first time starts a
// process; in a program whose main() is not diverted (main.hpp) that is a StateError.
//
// Several threads, and processes, may send at one end and receive at one end: messages stay
// whole. Who is killed while sending leaves the whole message, or nothing, if it has up to 16000
// bytes and the connection is no TCP one; else possibly a part. After a part nobody reads on as if
// nothing had happened: the next send at that end, and what the peer receives once no process has
// the end open or somebody has tried to send, is ConnectionClosed. Until then the peer waits for
// the rest. Who is killed while receiving loses the message that it was receiving; between the
// first and the last byte of it, the next one to receive gets ConnectionClosed.
//
// Lengths are checked before anything is allocated, and memory is taken as the bytes come. A
// message that is longer than recv_bytes' `max`, or than the limit of the end (1 GiB; set_limit),
// throws BufferTooShort. As in Python's multiprocessing nothing more can be received at that end
// then: readable() is false, and later receives throw ConnectionClosed; sending goes on.
//
// On the wire: as in Python's multiprocessing.connection. A message is its length, four bytes, most
// significant first, and its bytes; from 2 GiB on four bytes of ones, then the length in eight.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/codec.hpp"
#include "procession/detail/connection_core.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/shippable.hpp"
#include "procession/detail/type_name.hpp"
#include "procession/errors.hpp"

namespace procession {

// A handle. All methods may be called from any thread; on an empty (moved-from) handle they throw
// StateError. Signals do not interrupt a wait. None of the methods raises SIGPIPE. Sending and
// receiving may throw SystemError where the kernel refuses for a reason of its own.
class Connection : public detail::HandleBase {
 public:
  static constexpr std::size_t npos = detail::any_length;
  static constexpr std::size_t default_limit = std::size_t{1} << 30;  // bytes

  // Names no connection, as after a move: to be assigned to.
  Connection() noexcept = default;
  // Copies throw OutOfMemory, SystemError; and only where this process had no handle to it.
  Connection(const Connection& other) : HandleBase(other) { count(); }
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection other) noexcept {
    const Connection before(std::move(*this));
    HandleBase::operator=(std::move(other));
    return *this;
  }
  ~Connection() {
    if (handle_object() != nullptr) detail::drop_connection_handle(handle_object());
  }

  // Any shippable value; the peer's recv names the same type. Handles travel within the family
  // alone: elsewhere NotShippable. Block while the kernel's buffer is full. Throw
  // ConnectionClosed, NotShippable, OutOfMemory, what a user's serialize throws.
  template <class T>
  void send(const T& value) const {
    using Sent = detail::shipped_t<T>;
    detail::Object* const connection = object();
    detail::Writer writer("Connection::send", sizeof(detail::MessageHead));
    if constexpr (std::is_same_v<Sent, T>) {
      detail::encode(writer, value);
    } else {
      detail::encode(writer, Sent(value));
    }
    detail::connection_send(connection, writer, hash<Sent>());
  }
  // Blocks until there is a message. Throws ConnectionClosed, BufferTooShort; ProcessError when it
  // is no T: the message is lost. From other programs come values alone: a T with handles, function
  // pointers or callables in it is a ProcessError, whatever the bytes are. Values are what the
  // peer says; the type of a message is checked, what it means is for the caller to check.
  template <class T>
  T recv() const {
    detail::ReceivedMessage message;
    detail::connection_recv(object(), message, hash<T>(), detail::type_name<T>());
    detail::Reader reader(message.data, message.bytes, sizeof(detail::MessageHead));
    if (!message.from_family) reader.distrust();
    return detail::decode<T>(reader);
  }

  // Blocks while the kernel's buffer is full. Throws ConnectionClosed.
  void send_bytes(std::span<const std::byte> bytes) const {
    detail::connection_send_bytes(object(), bytes);
  }
  // Blocks until there is a message. Throws ConnectionClosed; BufferTooShort for one that is longer
  // than `max` or the limit, see above.
  [[nodiscard]] std::vector<std::byte> recv_bytes(std::size_t max = npos) const {
    return detail::connection_recv_bytes(object(), max);
  }
  // The same into memory of the caller; returns the message's length. Throws BufferTooShort for
  // one that is longer than `room`; it is lost, and the connection goes on.
  std::size_t recv_bytes_into(std::span<std::byte> room) const {
    return detail::connection_recv_into(object(), room);
  }

  // Whether a receive would find something: a message, a part of one, or the end. Waits so long at
  // most. Below zero counts as zero.
  [[nodiscard]] bool poll() const { return detail::connection_poll(object(), detail::at_once); }
  template <class Rep, class Period>
  [[nodiscard]] bool poll(const std::chrono::duration<Rep, Period>& duration) const {
    return detail::connection_poll(object(), detail::deadline_after(duration));
  }

  // This process's descriptor, for poll, epoll and the like: readable when poll() is true. It is
  // the connection's, valid until this process closes it. Throws StateError when it has.
  [[nodiscard]] int fileno() const;

  // Never blocks. A call of another thread that is under way ends as if it had not been closed.
  void close() const;
  [[nodiscard]] bool closed() const;
  [[nodiscard]] bool readable() const;
  [[nodiscard]] bool writable() const;

  // The longest message, in bytes, that is received at this end, in whichever process.
  void set_limit(std::size_t bytes) const;
  [[nodiscard]] std::size_t limit() const;

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Connection from_object(detail::Object* object);

 private:
  friend struct ConnectionAccess;
  // Takes over the reference; the handle is counted already.
  explicit Connection(detail::Object* owned) noexcept : HandleBase(owned) {}
  [[nodiscard]] detail::Object* object() const { return &shared_as<detail::Object>("Connection"); }
  void count() const {
    if (handle_object() != nullptr) detail::count_connection_handle(handle_object());
  }
  template <class T>
  static constexpr std::uint32_t hash() {
    return detail::type_hash(detail::type_name<T>());
  }
};

// Two connected ends. Not duplex: the first receives, the second sends. Throws OutOfMemory,
// SystemError.
[[nodiscard]] std::pair<Connection, Connection> Pipe(bool duplex = true);

}  // namespace procession
