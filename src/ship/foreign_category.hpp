// Error codes on their way to another process.
//
// The categories of the standard library are the same on both sides. Any other category is an
// object that only its own program knows how to find, so its name, the message of the code and
// the generic condition that the code stands for travel instead, and the code arrives in a
// category that repeats them: message(), and comparison with std::errc, work as before; comparison
// with the original category does not.
#pragma once

#include <string>
#include <system_error>

#include "procession/detail/stream.hpp"

namespace procession::detail {

// Thread-safe; they do not block. put_code throws OutOfMemory.
void put_code(Writer& writer, const std::error_code& code);
[[nodiscard]] std::error_code take_code(Reader& reader);

}  // namespace procession::detail
