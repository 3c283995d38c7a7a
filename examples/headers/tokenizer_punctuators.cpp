// The punctuators of the tokenizer: the longest one wins, splices and digraphs included.
#include "characters.hpp"
#include "tokenizer.hpp"

namespace headers {

bool Tokenizer::accept(char c) {
  const char* at = skip_splices(at_, end_);
  if (at == end_ || *at != c) return false;
  at_ = at + 1;
  return true;
}

bool Tokenizer::accept(char first, char second) {
  const char* before = at_;
  if (accept(first) && accept(second)) return true;
  at_ = before;
  return false;
}

void Tokenizer::punctuator(Token& token) {
  const char* start = at_;
  const Place place = place_;
  const bool hash = longest_punctuator();
  emit(token, TokenKind::Punctuator, start);
  if (hash && place == Place::LineStart) {
    place_ = Place::AfterHash;
    in_directive_ = true;
  } else if (place == Place::AfterHasInclude && *start == '(') {
    place_ = Place::HeaderName;
  }
}

// Takes the longest punctuator at at_. True when it is a # (or its digraph).
bool Tokenizer::longest_punctuator() {
  const char c = *at_++;
  switch (c) {
    case '+':
    case '&':
    case '|':
      if (!accept(c)) accept('=');
      return false;
    case '=':
    case '!':
    case '*':
    case '/':
    case '^':
      accept('=');
      return false;
    case '-':
      if (accept('>')) {
        accept('*');
      } else if (!accept('-')) {
        accept('=');
      }
      return false;
    case '<':
      less();
      return false;
    case '>':
      accept('>');
      accept('=');
      return false;
    case ':':
      if (!accept(':')) accept('>');
      return false;
    case '.':
      if (!accept('.', '.')) accept('*');
      return false;
    case '%':
      if (accept(':')) return !accept('%', ':');
      if (!accept('=')) accept('>');
      return false;
    case '#':
      return !accept('#');
    default:
      return false;
  }
}

// After a '<'. In <:: the digraph <: is not meant, unless : or > follows (as in vector<::T>).
void Tokenizer::less() {
  if (accept('<')) {
    accept('=');
  } else if (accept('=')) {
    accept('>');
  } else if (accept('%')) {
    return;
  } else {
    const char* before = at_;
    if (!accept(':', ':')) {
      accept(':');
    } else {
      const char* after = skip_splices(at_, end_);
      const bool digraph = after != end_ && (*after == ':' || *after == '>');
      at_ = before;
      if (digraph) accept(':');
    }
  }
}

}  // namespace headers
