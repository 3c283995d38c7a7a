#include "tokenizer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "characters.hpp"
#include "keywords.hpp"

namespace headers {
namespace {

constexpr std::size_t longest_delimiter = 16;  // of a raw string

const char* find(const char* at, const char* end, char wanted) noexcept {
  const void* found =
      at == end ? nullptr : std::memchr(at, wanted, static_cast<std::size_t>(end - at));
  return found == nullptr ? end : static_cast<const char*>(found);
}

// True when the newline at `newline` belongs to a splice that begins at or after `start`.
bool is_spliced(const char* start, const char* newline) noexcept {
  while (newline != start && class_of(newline[-1]) == CharClass::Space) --newline;
  return newline != start && newline[-1] == '\\';
}

// Where the block comment whose inside begins at `at` ends, or nullptr.
const char* close_comment(const char* at, const char* end) noexcept {
  while ((at = find(at, end, '*')) != end) {
    const char* after = skip_splices(++at, end);
    if (after != end && *after == '/') return after + 1;
  }
  return nullptr;
}

bool starts_suffix(CharClass kind) noexcept {
  return kind == CharClass::Letter || kind == CharClass::High || kind == CharClass::Backslash;
}

// u8, u, U, L, each with or without R, and R alone.
bool is_literal_prefix(std::string_view prefix, bool& raw) noexcept {
  raw = !prefix.empty() && prefix.back() == 'R';
  if (raw) prefix.remove_suffix(1);
  if (prefix.empty()) return raw;
  return prefix == "u8" || prefix == "u" || prefix == "U" || prefix == "L";
}

}  // namespace

Tokenizer::Tokenizer(std::string_view source)
    : at_(source.data()), end_(source.data() + source.size()) {
  if (source.starts_with("\xEF\xBB\xBF")) at_ += 3;  // a byte order mark
}

bool Tokenizer::next(Token& token) {
  while (at_ != end_) {
    switch (class_of(*at_)) {
      case CharClass::Space:
        ++at_;
        continue;
      case CharClass::Newline:
        ++at_;
        place_ = Place::LineStart;
        in_directive_ = false;
        continue;
      case CharClass::Slash:
        if (!comment(token)) punctuator(token);
        return true;
      case CharClass::Letter:
      case CharClass::High:
        identifier(token);
        return true;
      case CharClass::Backslash:
        if (const char* after = skip_splices(at_, end_); after != at_) {
          at_ = after;
          continue;
        }
        identifier(token);
        return true;
      case CharClass::Digit:
        number(token);
        return true;
      case CharClass::Quote:
        if (place_ == Place::HeaderName && header_name(token)) return true;
        literal(token, at_);
        return true;
      case CharClass::Dot:
        if (const char* after = skip_splices(at_ + 1, end_);
            after != end_ && class_of(*after) == CharClass::Digit) {
          number(token);
          return true;
        }
        punctuator(token);
        return true;
      case CharClass::Punctuation:
        if (place_ == Place::HeaderName && *at_ == '<' && header_name(token)) return true;
        punctuator(token);
        return true;
      case CharClass::Stray:
        stray(token);
        return true;
    }
  }
  return false;
}

void Tokenizer::emit(Token& token, TokenKind kind, const char* start) {
  token.kind = kind;
  token.text = {start, static_cast<std::size_t>(at_ - start)};
  place_ = Place::Middle;
}

void Tokenizer::stray(Token& token) {
  const char* start = at_;
  at_ = skip_utf8(at_, end_);
  emit(token, TokenKind::Other, start);
}

// --- identifiers ---

void Tokenizer::identifier(Token& token) {
  const char* start = at_;
  while (at_ != end_ && is_plain(*at_)) ++at_;
  std::string_view text(start, static_cast<std::size_t>(at_ - start));
  if (at_ != end_) {
    const CharClass next = class_of(*at_);
    if (next == CharClass::Backslash || next == CharClass::High) {
      if (!spliced_identifier(start)) return stray(token);
      text = scratch_;
    }
    if (at_ != end_ && class_of(*at_) == CharClass::Quote && text.size() <= 3 &&
        prefixed_literal(token, text, start)) {
      return;
    }
  }
  name(token, text);
}

// The rest of an identifier that holds splices or characters beyond ASCII, collected in scratch_.
// False, with nothing consumed, when not even its first character is one of an identifier.
bool Tokenizer::spliced_identifier(const char* start) {
  scratch_.assign(start, at_);
  while (at_ != end_) {
    if (is_plain(*at_)) {
      const char* run = at_;
      while (at_ != end_ && is_plain(*at_)) ++at_;
      scratch_.append(run, at_);
      continue;
    }
    const char* before = at_;
    at_ = skip_splices(at_, end_);
    if (at_ == before) {
      const CharClass kind = class_of(*at_);
      if (kind != CharClass::High && kind != CharClass::Backslash) break;
      at_ = scan_extended(at_, end_, scratch_.empty(), scratch_);
      if (at_ == before) break;
    }
  }
  return !scratch_.empty();
}

void Tokenizer::name(Token& token, std::string_view text) {
  token.text = text;
  const Place place = place_;
  place_ = Place::Middle;
  if (place == Place::AfterHash) {
    token.kind = TokenKind::Directive;
    if (text == "include" || text == "include_next" || text == "import" || text == "embed") {
      place_ = Place::HeaderName;
    }
    return;
  }
  token.kind = is_keyword(text) ? TokenKind::Keyword : TokenKind::Identifier;
  if (in_directive_) {
    if (text == "__has_include" || text == "__has_include_next" || text == "__has_embed") {
      place_ = Place::AfterHasInclude;
    }
  } else if (place == Place::LineStart || place == Place::AfterExport) {
    if (text == "import") place_ = Place::HeaderName;
    if (text == "export") place_ = Place::AfterExport;
  }
}

// --- literals ---

void Tokenizer::number(Token& token) {
  const char* start = at_++;
  char previous = *start;
  while (at_ != end_) {
    const char* at = skip_splices(at_, end_);
    if (at == end_) break;
    const char c = *at;
    const bool sign = (c == '+' || c == '-') &&
                      (previous == 'e' || previous == 'E' || previous == 'p' || previous == 'P');
    if (is_plain(c) || c == '.' || sign) {
      at_ = at + 1;
    } else if (c == '\'') {
      const char* after = skip_splices(at + 1, end_);
      if (after == end_ || !is_plain(*after)) break;
      at_ = at + 1;
    } else if (class_of(c) == CharClass::High || c == '\\') {
      scratch_.clear();
      const char* after = scan_extended(at, end_, false, scratch_);
      if (after == at) break;
      at_ = after;
    } else {
      break;
    }
    previous = c;
  }
  emit(token, TokenKind::Number, start);
}

// at_ is at the quote that follows `prefix`. False when the prefix is an ordinary identifier, or
// when what follows R is no raw string.
bool Tokenizer::prefixed_literal(Token& token, std::string_view prefix, const char* start) {
  bool raw = false;
  if (!is_literal_prefix(prefix, raw)) return false;
  if (!raw) {
    literal(token, start);
    return true;
  }
  return *at_ == '"' && raw_string(token, start);
}

void Tokenizer::literal(Token& token, const char* start) {
  const char quote = *at_++;
  for (;;) {
    while (at_ != end_ && *at_ != quote && *at_ != '\\' && *at_ != '\n') ++at_;
    if (at_ == end_ || *at_ == '\n') return emit(token, TokenKind::Unterminated, start);
    if (*at_ == quote) break;
    const char* after = skip_splices(at_, end_);
    if (after == at_) {  // an escape: the backslash and, past splices, one more character
      after = skip_splices(at_ + 1, end_);
      if (after != end_ && *after != '\n') ++after;
    }
    at_ = after;
  }
  ++at_;
  if (at_ != end_ && starts_suffix(class_of(*at_))) spliced_identifier(at_);
  emit(token, quote == '"' ? TokenKind::String : TokenKind::Character, start);
}

bool Tokenizer::raw_string(Token& token, const char* start) {
  const char* open = at_ + 1;
  const char* limit = open + std::min<std::ptrdiff_t>(longest_delimiter + 1, end_ - open);
  const char* parenthesis = open;
  while (parenthesis != limit && *parenthesis != '(') {
    const char c = *parenthesis;
    if (c == ')' || c == '\\' || c == '\n' || class_of(c) == CharClass::Space) return false;
    ++parenthesis;
  }
  if (parenthesis == limit) return false;

  char closing[longest_delimiter + 2] = {')'};
  const std::size_t size = static_cast<std::size_t>(parenthesis - open) + 2;
  std::copy(open, parenthesis, closing + 1);
  closing[size - 1] = '"';
  const std::string_view rest(parenthesis + 1, static_cast<std::size_t>(end_ - parenthesis - 1));
  const std::size_t found = rest.find({closing, size});
  if (found == std::string_view::npos) {
    at_ = end_;
    emit(token, TokenKind::Unterminated, start);
    return true;
  }
  at_ = rest.data() + found + size;
  if (at_ != end_ && starts_suffix(class_of(*at_))) spliced_identifier(at_);
  emit(token, TokenKind::String, start);
  return true;
}

// <...> or "..." where a header is named; a backslash escapes nothing there. False when it does
// not end on its line: then the characters are ordinary tokens.
bool Tokenizer::header_name(Token& token) {
  const char* start = at_;
  const char close = *start == '<' ? '>' : '"';
  const char* at = start + 1;
  while (at != end_ && *at != close && *at != '\n') {
    const char* after = skip_splices(at, end_);
    at = after == at ? at + 1 : after;
  }
  place_ = Place::Middle;
  if (at == end_ || *at == '\n') {
    in_directive_ = false;  // no search for the next one of this line, which would make it n * n
    return false;
  }
  at_ = at + 1;
  emit(token, TokenKind::HeaderName, start);
  return true;
}

// --- comments ---

// at_ is at a slash. A comment counts as white space: place_ stays.
bool Tokenizer::comment(Token& token) {
  const char* start = at_;
  const char* second = skip_splices(at_ + 1, end_);
  if (second == end_ || (*second != '/' && *second != '*')) return false;
  token.kind = TokenKind::Comment;
  if (*second == '/') {
    at_ = find(second + 1, end_, '\n');
    while (at_ != end_ && is_spliced(second + 1, at_)) at_ = find(at_ + 1, end_, '\n');
  } else {
    at_ = close_comment(second + 1, end_);
    if (at_ == nullptr) {
      at_ = end_;
      token.kind = TokenKind::Unterminated;
    }
  }
  token.text = {start, static_cast<std::size_t>(at_ - start)};
  return true;
}

}  // namespace headers
