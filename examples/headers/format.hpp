// Numbers and names as people read them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace headers {

std::string grouped(std::uint64_t number);                         // 1,234,567
std::string counted(std::uint64_t number, std::string_view noun);  // 1 file, 2 files
std::string byte_size(std::uint64_t bytes);                        // 512 B, 1.5 MB; powers of 1000
std::string decimal(double number, int places);                    // 1.86
std::string duration(std::chrono::nanoseconds time);               // 850 us, 1.2 ms, 3.40 s

// Columns that `text`, UTF-8, takes on a terminal, taking each character for one column.
std::size_t columns(std::string_view text) noexcept;

// Padded with spaces to `width` columns; what is longer is cut, and ends in an ellipsis.
std::string left_aligned(std::string_view text, std::size_t width);
std::string right_aligned(std::string_view text, std::size_t width);

// Control characters replaced, so that a file's name cannot drive the terminal.
std::string printable(std::string_view text);

}  // namespace headers
