// The words that are no identifiers.
#pragma once

#include <string_view>

namespace headers {

// True for the keywords and alternative tokens of C++23, and for those keywords of C that are
// reserved words in C++ too (_Bool). `restrict` and `typeof` are identifiers in C++, and so here.
bool is_keyword(std::string_view word) noexcept;

}  // namespace headers
