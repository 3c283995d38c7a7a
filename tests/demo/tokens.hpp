// What the tokenizer makes of a source, in a form to compare.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer.hpp"

namespace headers {

// "kind:text" for each token, comments left out; one letter for each kind.
inline std::vector<std::string> tokens(std::string_view source, bool comments = false) {
  constexpr std::string_view letters = "ikdnschpou/";
  std::vector<std::string> all;
  Tokenizer tokenizer(source);
  for (Token token; tokenizer.next(token);) {
    if (token.kind == TokenKind::Comment && !comments) continue;
    all.push_back(std::string(1, letters[static_cast<std::size_t>(token.kind)]) + ':' +
                  std::string(token.text));
  }
  return all;
}

using List = std::vector<std::string>;

}  // namespace headers
