// Connections between programs: one listens at an address, others connect to it. Either may be a
// Python program that uses multiprocessing.connection.
//
//   mp::Listener listener("unix:/run/user/1000/jobs", "the key");     // Python: Listener(path,
//   for (;;) {                                                        //   authkey=b"the key")
//     const mp::Connection client = listener.accept();
//     client.send_bytes(answer_to(client.recv_bytes()));
//   }
//
//   mp::Connection server = mp::Client("unix:/run/user/1000/jobs", "the key");
//
// Addresses: "unix:/path", a socket in the file system; "tcp:host:port", where port 0 is any that
// is free (address() tells which) and an IPv6 address is in brackets: "tcp:[::1]:0".
//
// With a key both sides prove that they know it before the first message, and neither sends it:
// each answers a random challenge of the other with its HMAC. The challenge of this side asks for
// SHA-256; Python before 3.12 answers with MD5, which is accepted, as Python 3.12 does. Without a
// key everybody who can reach the address is let in. What is sent afterwards is neither encrypted
// nor signed: across machines use a tunnel.
//
// clang-format off
// | client                        | accept()                     | Client()                          |
// | knows the key                 | returns its Connection       | returns the Connection            |
// | has another key, or none      | AuthenticationError          | AuthenticationError (another)     |
// | sends what is no answer       | AuthenticationError          | -                                 |
// | ends in the middle            | waits for another client     | ConnectionClosed (the listener)   |
// | says nothing                  | others are served meanwhile; | AuthenticationError at the limit  |
// |                               | dropped at the limit         | (the listener)                    |
// clang-format on
//
// The limit is 10 s for each client (set_handshake_limit). accept() may be called again after an
// error. A message during the proof has 256 bytes at most.
//
// The socket in the file system: made so that nobody meets it before it listens, open to this user
// alone (mode 0600), removed by close(), by the destructor and at the exit of the process that made
// it, unless something else has that name by then. After a SIGKILL it stays; a new listener
// replaces it when nobody listens there. If somebody does: SystemError (EADDRINUSE).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "procession/connection.hpp"

namespace procession {

namespace detail {
class ListenerCore;
}

// Move-only; belongs to the process that made it, a forked copy can accept but removes nothing. All
// methods may be called from any thread; two that accept take turns. On a moved-from one they throw
// StateError.
class Listener {
 public:
  // `backlog`: how many clients the kernel lets wait. Throws std::invalid_argument: no such
  // address, or an empty key was given (no key is no argument, or {}); SystemError.
  explicit Listener(const std::string& address, std::optional<std::string> authkey = {},
                    int backlog = 16);
  ~Listener();
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;

  // Blocks until there is a client that knows the key. Throws AuthenticationError, StateError when
  // it is closed, also by another thread meanwhile; SystemError.
  [[nodiscard]] Connection accept();

  // Where it can be reached: with the port that was chosen.
  [[nodiscard]] std::string address() const;

  // How long a client may take to prove that it knows the key.
  void set_handshake_limit(std::chrono::nanoseconds limit);

  // Never blocks. Connections that it has made go on. Closing twice is closing once.
  void close();

 private:
  [[nodiscard]] detail::ListenerCore& core() const;
  std::shared_ptr<detail::ListenerCore> core_;
};

// Connects. Blocks until the listener's machine answers and, with a key, until the listener has
// proved that it knows it, up to 10 s. Throws std::invalid_argument, AuthenticationError,
// ConnectionClosed; SystemError (ECONNREFUSED, ENOENT, ...) when nobody listens there.
[[nodiscard]] Connection Client(const std::string& address,
                                const std::optional<std::string>& authkey = {});

}  // namespace procession
