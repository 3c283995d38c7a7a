// Cuts C and C++ source into preprocessing tokens, by the rules of C++23 translation phases 1 to 3.
//
// Honoured: line splices anywhere but inside raw strings (white space may follow the backslash, as
// in C++23 and GCC), both kinds of comment, literals with every prefix, escapes and user-defined
// suffixes, raw strings, digit separators, digraphs, header names after #include and its kin, and
// UTF-8 or universal character names in identifiers. Trigraphs are not: C++17 and C23 dropped them.
// Macros are not expanded and no branch of an #if is left out.
//
// Any bytes are accepted. What no rule covers becomes Other or Unterminated, and each byte is
// looked at a bounded number of times, so that a hostile file costs no more than a long one.
//
// Example:
//   Tokenizer tokenizer(source);
//   for (Token token; tokenizer.next(token);) ++count[token.text];
#pragma once

#include <string>
#include <string_view>

#include "token.hpp"

namespace headers {

// Not thread-safe; `source` must outlive it. Nothing throws but std::bad_alloc.
class Tokenizer {
 public:
  explicit Tokenizer(std::string_view source);

  // The next token, or false at the end of the source.
  bool next(Token& token);

 private:
  // Where in a line the next token stands, as far as its meaning depends on it.
  enum class Place : unsigned char {
    LineStart,
    Middle,
    AfterHash,
    AfterExport,
    AfterHasInclude,
    HeaderName
  };

  void identifier(Token& token);
  bool spliced_identifier(const char* start);
  void name(Token& token, std::string_view text);
  void number(Token& token);
  bool prefixed_literal(Token& token, std::string_view prefix, const char* start);
  void literal(Token& token, const char* start);
  bool raw_string(Token& token, const char* start);
  bool header_name(Token& token);
  bool comment(Token& token);
  void punctuator(Token& token);
  void stray(Token& token);

  void emit(Token& token, TokenKind kind, const char* start);
  bool accept(char c);
  bool accept(char first, char second);
  bool longest_punctuator();
  void less();

  const char* at_;
  const char* end_;
  Place place_ = Place::LineStart;
  bool in_directive_ = false;
  std::string scratch_;  // the text of an identifier that is not written in one piece
};

}  // namespace headers
