#include "format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace headers {
namespace {

bool continues_character(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string cut(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  std::size_t end = 0;
  for (std::size_t kept = 0; end < text.size(); ++end) {
    if (!continues_character(text[end]) && kept++ == width - 1) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return grouped(number) + ' ' + std::string(noun) + (number == 1 ? "" : "s");
}

std::string decimal(double number, int places) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", places, number);
  return text.data();
}

std::string byte_size(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double scaled = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  constexpr std::array<const char*, 4> units = {" kB", " MB", " GB", " TB"};
  for (; scaled >= 999.95 && unit + 1 < units.size(); ++unit) scaled /= 1000;
  return decimal(scaled, 1) + units[unit];
}

std::string duration(std::chrono::nanoseconds time) {
  const double seconds = std::chrono::duration<double>(time).count();
  if (seconds < 0.9995e-3) return decimal(seconds * 1e6, 0) + " us";
  if (seconds < 0.99995) return decimal(seconds * 1e3, 1) + " ms";
  return decimal(seconds, 2) + " s";
}

std::size_t columns(std::string_view text) noexcept {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

std::string left_aligned(std::string_view text, std::size_t width) {
  std::string field = cut(text, width);
  field.append(width - columns(field), ' ');
  return field;
}

std::string right_aligned(std::string_view text, std::size_t width) {
  const std::string field = cut(text, width);
  return std::string(width - columns(field), ' ') + field;
}

std::string printable(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return safe;
}

}  // namespace headers
