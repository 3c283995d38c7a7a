#include "channel/handshake.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <optional>
#include <stdexcept>

#include "procession/errors.hpp"

namespace procession::detail {
namespace {

constexpr std::string_view challenge_mark = "#CHALLENGE#";
constexpr std::string_view welcome = "#WELCOME#";
constexpr std::string_view failure = "#FAILURE#";
constexpr std::string_view own_hash = "sha256";
constexpr std::size_t random_bytes = 40;
constexpr std::size_t shortest_text = 20;
// Texts and answers of these lengths are those of Python before 3.12, whatever is in them.
constexpr std::size_t old_text = 20, old_answer = 16;

struct Hash {
  std::string_view name;
  const EVP_MD* (*function)();
};
constexpr std::array<Hash, 5> hashes{{{"md5", EVP_md5},
                                      {"sha256", EVP_sha256},
                                      {"sha384", EVP_sha384},
                                      {"sha3_256", EVP_sha3_256},
                                      {"sha3_384", EVP_sha3_384}}};

struct Named {
  std::string_view name;  // empty: bare
  std::string_view rest;
};

// None: it is neither bare nor begins with a name that is known.
std::optional<Named> split(std::string_view text) {
  if (text.size() == old_text || text.size() == old_answer) return Named{{}, text};
  const std::size_t end = text.find('}');
  if (!text.starts_with('{') || end == std::string_view::npos) return std::nullopt;
  const std::string_view name = text.substr(1, end - 1);
  for (const Hash& hash : hashes) {
    if (hash.name == name) return Named{name, text.substr(end + 1)};
  }
  return std::nullopt;
}

std::string hmac(std::string_view name, std::string_view key, std::string_view text) {
  const EVP_MD* function = EVP_md5();
  for (const Hash& hash : hashes) {
    if (hash.name == name) function = hash.function();
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(function, key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(),
           &length) == nullptr) {
    throw AuthenticationError("the proof of a key needs the hash " +
                              std::string(name.empty() ? "md5" : name) +
                              ", which OpenSSL refuses on this machine; allow it there, or use a "
                              "peer that asks for sha256");
  }
  return {reinterpret_cast<const char*>(digest.data()), length};
}

[[noreturn]] void refuse(const char* what) {
  throw AuthenticationError(std::string("the peer of a connection is not let in: ") + what +
                            "; both sides must be given the same key");
}

}  // namespace

Handshake::Handshake(std::string_view key, Role role, Outbox& outbox)
    : key_(key), role_(role), state_(State::AwaitChallenge) {
  if (role == Role::Listener) challenge(outbox);
}

void Handshake::challenge(Outbox& outbox) {
  std::array<unsigned char, random_bytes> random;
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw AuthenticationError("OpenSSL has no random bytes for a challenge; try again later");
  }
  text_ = "{" + std::string(own_hash) + "}";
  text_.append(reinterpret_cast<const char*>(random.data()), random.size());
  outbox.push_back(std::string(challenge_mark) + text_);
  state_ = State::AwaitAnswer;
}

void Handshake::check_answer(std::string_view answer, Outbox& outbox) {
  const auto parts = split(answer);
  bool right = false;
  if (parts) {
    const std::string expected = hmac(parts->name, key_, text_);
    right = expected.size() == parts->rest.size() &&
            CRYPTO_memcmp(expected.data(), parts->rest.data(), expected.size()) == 0;
  }
  outbox.emplace_back(right ? welcome : failure);
  if (!right) refuse("its answer to the challenge is wrong, so it does not know the key");
  state_ = role_ == Role::Listener ? State::AwaitChallenge : State::Done;
}

void Handshake::answer(std::string_view message, Outbox& outbox) {
  if (!message.starts_with(challenge_mark)) {
    refuse("it sent something else where its challenge was expected");
  }
  const std::string_view text = message.substr(challenge_mark.size());
  if (text.size() < shortest_text) refuse("its challenge is too short to prove anything");
  const auto parts = split(text);
  if (!parts) refuse("its challenge asks for a hash that is not known here");
  const std::string digest = hmac(parts->name, key_, text);
  outbox.push_back(parts->name.empty() ? digest : "{" + std::string(parts->name) + "}" + digest);
  state_ = State::AwaitWelcome;
}

void Handshake::check_welcome(std::string_view message, Outbox& outbox) {
  if (message != welcome) refuse("it does not accept this side's key");
  if (role_ == Role::Client) return challenge(outbox);
  state_ = State::Done;
}

void Handshake::take(std::string_view message, Outbox& outbox) {
  switch (state_) {
    case State::AwaitAnswer:
      return check_answer(message, outbox);
    case State::AwaitChallenge:
      return answer(message, outbox);
    case State::AwaitWelcome:
      return check_welcome(message, outbox);
    case State::Done:
      refuse("it goes on although both sides have proved what they had to");
  }
}

void require_key(const std::string& key) {
  if (!key.empty()) return;
  throw std::invalid_argument(
      "the key of a connection is empty, which would let nobody in or everybody: give one of some "
      "length, or none at all where no authentication is wanted");
}

}  // namespace procession::detail
