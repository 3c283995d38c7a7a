// The characters that source code is made of: splices, UTF-8, universal character names.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace headers {

enum class CharClass : std::uint8_t {
  Space,
  Newline,
  Letter,
  Digit,
  High,
  Backslash,
  Quote,
  Slash,
  Dot,
  Punctuation,
  Stray
};

constexpr std::array<CharClass, 256> make_char_classes() {
  std::array<CharClass, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
    classes[c] = c >= 0x80              ? CharClass::High
                 : letter               ? CharClass::Letter
                 : c >= '0' && c <= '9' ? CharClass::Digit
                                        : CharClass::Stray;
  }
  for (const char c : {' ', '\t', '\v', '\f', '\r', '\0'}) {
    classes[static_cast<unsigned char>(c)] = CharClass::Space;
  }
  for (const char c : {'{', '}', '[', ']', '(', ')', ';', ':', ',', '?', '~', '!',
                       '+', '-', '*', '%', '^', '&', '|', '=', '<', '>', '#'}) {
    classes[static_cast<unsigned char>(c)] = CharClass::Punctuation;
  }
  classes['\n'] = CharClass::Newline;
  classes['\\'] = CharClass::Backslash;
  classes['"'] = classes['\''] = CharClass::Quote;
  classes['/'] = CharClass::Slash;
  classes['.'] = CharClass::Dot;
  return classes;
}

inline constexpr std::array<CharClass, 256> char_classes = make_char_classes();

inline CharClass class_of(char c) noexcept { return char_classes[static_cast<unsigned char>(c)]; }

// True for the characters that continue an identifier without further thought.
inline bool is_plain(char c) noexcept {
  const CharClass kind = class_of(c);
  return kind == CharClass::Letter || kind == CharClass::Digit;
}

// The first character at or after `at` that is not part of a line splice: a backslash, white
// space, the end of the line.
const char* skip_splice_run(const char* at, const char* end) noexcept;

inline const char* skip_splices(const char* at, const char* end) noexcept {
  return at != end && *at == '\\' ? skip_splice_run(at, end) : at;
}

// One character of an identifier that is not plain, at `at`: UTF-8, or a universal character name
// (\u00e9, \U000000e9, \u{e9}). Appends it to `text` as UTF-8 and returns where it ends, or returns
// `at` when none is there. `initial`: it would be the first of its identifier.
const char* scan_extended(const char* at, const char* end, bool initial, std::string& text);

// Where the UTF-8 sequence at `at` ends; one byte on for bytes that are not UTF-8.
const char* skip_utf8(const char* at, const char* end) noexcept;

}  // namespace headers
