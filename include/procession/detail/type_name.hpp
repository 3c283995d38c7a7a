// The name of a type as the compiler spells it, without run-time type information.
#pragma once

#include <cstddef>
#include <string_view>

namespace procession::detail {

template <class T>
constexpr std::string_view decorated_type_name() {
  return __PRETTY_FUNCTION__;
}

// Where in __PRETTY_FUNCTION__ the type stands, found once with a type whose name is known.
inline constexpr std::size_t type_name_begin = decorated_type_name<void>().find("T = void") + 4;

// "std::vector<int>"; closures are "main()::<lambda(int)>" (GCC) or "(lambda at main.cpp:7:3)"
// (Clang). Lives as long as the program.
template <class T>
constexpr std::string_view type_name() {
  // Behind the name GCC explains its typedefs ("; std::string_view = ..."), then comes "]".
  const std::string_view text = decorated_type_name<T>().substr(type_name_begin);
#if defined(__clang__)
  return text.substr(0, text.size() - 1);
#else
  constexpr std::string_view explanation = "; std::string_view = ";
  const std::size_t end = text.rfind(explanation);
  return text.substr(0, end == std::string_view::npos ? text.size() - 1 : end);
#endif
}

}  // namespace procession::detail
