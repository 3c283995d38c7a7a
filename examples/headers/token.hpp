// What the tokenizer hands out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headers {

enum class TokenKind : std::uint8_t {
  Identifier,
  Keyword,
  Directive,   // the name after the # of a preprocessing line
  Number,      // a pp-number: 1'000'000, 0x1p-3, 12_km
  String,      // with its prefix, raw or not, and its user-defined suffix
  Character,   // the same for '...'
  HeaderName,  // <vector> or "file.h" where a header is named
  Punctuator,
  Other,         // a character that begins no token
  Unterminated,  // a literal without its end: up to the end of the line (raw: of the file)
  Comment        // not a token of the language; handed out so that it can be counted
};

inline constexpr std::size_t token_kinds = 11;

inline constexpr std::array<std::string_view, token_kinds> token_kind_names = {
    "identifiers",  "keywords",    "directives",  "numbers",      "strings", "characters",
    "header names", "punctuators", "stray bytes", "unterminated", "comments"};

// `text` is the name of an Identifier, Keyword or Directive: splices removed, universal character
// names turned into UTF-8. For every other kind it is the source as written. It points into the
// source or into the tokenizer and is valid until the next token is asked for.
struct Token {
  TokenKind kind = TokenKind::Other;
  std::string_view text;
};

}  // namespace headers
