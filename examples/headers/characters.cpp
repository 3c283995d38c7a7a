#include "characters.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

namespace headers {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// What C++11 allows in identifiers ([charname.allowed]). C++23 asks for the Unicode properties
// XID_Start and XID_Continue, nearly a subset; the difference is not worth their tables here.
constexpr std::array<Range, 37> allowed = {{
    {0xA8, 0xA8},       {0xAA, 0xAA},       {0xAD, 0xAD},       {0xAF, 0xAF},
    {0xB2, 0xB5},       {0xB7, 0xBA},       {0xBC, 0xBE},       {0xC0, 0xD6},
    {0xD8, 0xF6},       {0xF8, 0xFF},       {0x100, 0x167F},    {0x1681, 0x180D},
    {0x180F, 0x1FFF},   {0x200B, 0x200D},   {0x202A, 0x202E},   {0x203F, 0x2040},
    {0x2054, 0x2054},   {0x2060, 0x206F},   {0x2070, 0x218F},   {0x2460, 0x24FF},
    {0x2776, 0x2793},   {0x2C00, 0x2DFF},   {0x2E80, 0x2FFF},   {0x3004, 0x3007},
    {0x3021, 0x302F},   {0x3031, 0x303F},   {0x3040, 0xD7FF},   {0xF900, 0xFD3D},
    {0xFD40, 0xFDCF},   {0xFDF0, 0xFE44},   {0xFE47, 0xFFFD},   {0x10000, 0x1FFFD},
    {0x20000, 0x2FFFD}, {0x30000, 0x3FFFD}, {0x40000, 0x4FFFD}, {0x50000, 0x5FFFD},
    {0x60000, 0xEFFFD},
}};

// Of those, the combining marks, which cannot come first ([charname.disallowed]).
constexpr std::array<Range, 4> not_first = {
    {{0x300, 0x36F}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE20, 0xFE2F}}};

template <std::size_t N>
bool contains(const std::array<Range, N>& ranges, char32_t code) {
  const auto found = std::ranges::lower_bound(ranges, code, {}, &Range::last);
  return found != ranges.end() && found->first <= code;
}

bool allowed_in_identifier(char32_t code, bool initial) {
  return contains(allowed, code) && !(initial && contains(not_first, code));
}

// Decodes one well-formed sequence of two bytes or more; returns its length, 0 if there is none.
// Overlong forms and surrogates are not well-formed.
std::ptrdiff_t decode_utf8(const char* at, const char* end, char32_t& code) noexcept {
  const auto byte = [at](std::ptrdiff_t i) { return static_cast<unsigned char>(at[i]); };
  const unsigned lead = byte(0);
  const std::ptrdiff_t length = lead < 0xC2   ? 0
                                : lead < 0xE0 ? 2
                                : lead < 0xF0 ? 3
                                : lead < 0xF5 ? 4
                                              : 0;
  if (length == 0 || end - at < length) return 0;
  code = lead & (0x7Fu >> length);
  for (std::ptrdiff_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const char32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < least || code > 0x10FFFF || surrogate ? 0 : length;
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// \uXXXX, \UXXXXXXXX or \u{X...}, splices between its characters allowed. Returns where it ends,
// or nullptr. Digits past the largest code point end it, so that the look ahead stays short.
const char* decode_universal(const char* at, const char* end, char32_t& code) noexcept {
  at = skip_splices(at + 1, end);
  if (at == end || (*at != 'u' && *at != 'U')) return nullptr;
  int wanted = *at == 'u' ? 4 : 8;
  at = skip_splices(at + 1, end);
  const bool braced = wanted == 4 && at != end && *at == '{';
  if (braced) at = skip_splices(at + 1, end);
  int digits = 0;
  for (code = 0; at != end && (braced || digits < wanted); ++digits) {
    const int value = hex_value(*at);
    if (value < 0) break;
    code = code << 4 | static_cast<char32_t>(value);
    if (code > 0x10FFFF || digits > 8) return nullptr;
    at = skip_splices(at + 1, end);
  }
  if (!braced) return digits == wanted ? at : nullptr;
  return digits > 0 && at != end && *at == '}' ? at + 1 : nullptr;
}

}  // namespace

const char* skip_splice_run(const char* at, const char* end) noexcept {
  while (at != end && *at == '\\') {
    const char* next = at + 1;
    while (next != end && class_of(*next) == CharClass::Space) ++next;
    if (next == end || *next != '\n') break;
    at = next + 1;
  }
  return at;
}

const char* scan_extended(const char* at, const char* end, bool initial, std::string& text) {
  char32_t code = 0;
  if (*at == '\\') {
    const char* after = decode_universal(at, end, code);
    if (after == nullptr || !allowed_in_identifier(code, initial)) return at;
    append_utf8(text, code);
    return after;
  }
  const std::ptrdiff_t length = decode_utf8(at, end, code);
  if (length == 0 || !allowed_in_identifier(code, initial)) return at;
  text.append(at, static_cast<std::size_t>(length));
  return at + length;
}

const char* skip_utf8(const char* at, const char* end) noexcept {
  char32_t code = 0;
  const std::ptrdiff_t length = decode_utf8(at, end, code);
  return at + (length == 0 ? 1 : length);
}

}  // namespace headers
