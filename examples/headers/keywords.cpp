#include "keywords.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace headers {
namespace {

constexpr std::string_view keywords[] = {"alignas",
                                         "alignof",
                                         "and",
                                         "and_eq",
                                         "asm",
                                         "auto",
                                         "bitand",
                                         "bitor",
                                         "bool",
                                         "break",
                                         "case",
                                         "catch",
                                         "char",
                                         "char16_t",
                                         "char32_t",
                                         "char8_t",
                                         "class",
                                         "co_await",
                                         "co_return",
                                         "co_yield",
                                         "compl",
                                         "concept",
                                         "const",
                                         "const_cast",
                                         "consteval",
                                         "constexpr",
                                         "constinit",
                                         "continue",
                                         "decltype",
                                         "default",
                                         "delete",
                                         "do",
                                         "double",
                                         "dynamic_cast",
                                         "else",
                                         "enum",
                                         "explicit",
                                         "export",
                                         "extern",
                                         "false",
                                         "float",
                                         "for",
                                         "friend",
                                         "goto",
                                         "if",
                                         "inline",
                                         "int",
                                         "long",
                                         "mutable",
                                         "namespace",
                                         "new",
                                         "noexcept",
                                         "not",
                                         "not_eq",
                                         "nullptr",
                                         "operator",
                                         "or",
                                         "or_eq",
                                         "private",
                                         "protected",
                                         "public",
                                         "register",
                                         "reinterpret_cast",
                                         "requires",
                                         "return",
                                         "short",
                                         "signed",
                                         "sizeof",
                                         "static",
                                         "static_assert",
                                         "static_cast",
                                         "struct",
                                         "switch",
                                         "template",
                                         "this",
                                         "thread_local",
                                         "throw",
                                         "true",
                                         "try",
                                         "typedef",
                                         "typeid",
                                         "typename",
                                         "union",
                                         "unsigned",
                                         "using",
                                         "virtual",
                                         "void",
                                         "volatile",
                                         "wchar_t",
                                         "while",
                                         "xor",
                                         "xor_eq",
                                         "_Alignas",
                                         "_Alignof",
                                         "_Atomic",
                                         "_Bool",
                                         "_Complex",
                                         "_Generic",
                                         "_Imaginary",
                                         "_Noreturn",
                                         "_Static_assert",
                                         "_Thread_local"};

constexpr std::size_t longest = 16;  // reinterpret_cast
constexpr std::size_t slots = 1024;  // sparse, so that most identifiers meet an empty slot

constexpr std::size_t slot_of(const char* word, std::size_t size) noexcept {
  const auto byte = [word](std::size_t i) { return static_cast<unsigned char>(word[i]); };
  const std::size_t mixed = size * 2654435761u + byte(0) * 40503u + byte(1) * 9973u +
                            byte(size - 1) * 251u + byte(size / 2) * 65599u;
  return (mixed ^ mixed >> 11) % slots;
}

struct Table {
  std::array<std::uint8_t, slots> first{};  // 1 + index of the keyword, 0: none
};

constexpr Table make_table() {
  Table table;
  for (std::size_t i = 0; i < std::size(keywords); ++i) {
    std::size_t slot = slot_of(keywords[i].data(), keywords[i].size());
    while (table.first[slot] != 0) slot = (slot + 1) % slots;
    table.first[slot] = static_cast<std::uint8_t>(i + 1);
  }
  return table;
}

constexpr Table table = make_table();

}  // namespace

bool is_keyword(std::string_view word) noexcept {
  if (word.size() < 2 || word.size() > longest) return false;
  std::size_t slot = slot_of(word.data(), word.size());
  while (const std::size_t entry = table.first[slot]) {
    const std::string_view keyword = keywords[entry - 1];
    if (keyword.size() == word.size() &&
        std::memcmp(keyword.data(), word.data(), word.size()) == 0) {
      return true;
    }
    slot = (slot + 1) % slots;
  }
  return false;
}

}  // namespace headers
