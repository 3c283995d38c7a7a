// The proof that both ends of a connection know a key, as Python's multiprocessing.connection has
// it. No input or output: messages in, messages out.
//
// A challenge is "#CHALLENGE#" and a text. Its answer is the text's HMAC under the key, with the
// name of the hash in braces before it, where the text began with one: "{sha256}", else MD5, bare.
// (So it is since Python 3.12. Before that texts had no name, and a name in one was nothing
// special: the answer is MD5, bare.) What the challenger says to the answer is "#WELCOME#" or
// "#FAILURE#". First the listener's challenge, then the client's.
//
//   | state         | message           | next state                              |
//   | AwaitAnswer   | the right answer  | AwaitChallenge (listener), Done (client) |
//   | AwaitChallenge| a challenge       | AwaitWelcome                            |
//   | AwaitWelcome  | "#WELCOME#"       | Done (listener), AwaitAnswer (client)   |
//   | any           | something else    | AuthenticationError                     |
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace procession::detail {

inline constexpr std::size_t longest_handshake_message = 256;

// Not thread-safe. Never blocks. Nothing of the key is in any error.
class Handshake {
 public:
  enum class Role { Listener, Client };
  using Outbox = std::vector<std::string>;  // messages to send, in order

  Handshake(std::string_view key, Role role, Outbox& outbox);
  // What the peer has sent. Throws AuthenticationError; what is in the outbox then is to be sent
  // all the same.
  void take(std::string_view message, Outbox& outbox);
  [[nodiscard]] bool done() const noexcept { return state_ == State::Done; }

 private:
  enum class State { AwaitAnswer, AwaitChallenge, AwaitWelcome, Done };
  void challenge(Outbox& outbox);
  void check_answer(std::string_view answer, Outbox& outbox);
  void answer(std::string_view message, Outbox& outbox);
  void check_welcome(std::string_view message, Outbox& outbox);

  std::string_view key_;  // the caller's
  Role role_;
  State state_;
  std::string text_;  // of the challenge that was sent
};

// Throws std::invalid_argument for an empty key.
void require_key(const std::string& key);

}  // namespace procession::detail
