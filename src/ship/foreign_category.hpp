// Error codes on their way to another process.
//
// The categories of the standard library are the same on both sides. Any other is an object of the
// program, nearly always of static storage duration: its address travels as that of code does, and
// where the receiver finds the object there, the code compares as before. Where it does not (its
// module is not loaded, its constructor has not run, it was on the heap), the code arrives in a
// category that repeats what was said: name(), message() and the comparison with std::errc.
#pragma once

#include <string>
#include <system_error>

#include "procession/detail/stream.hpp"

namespace procession::detail {

// Thread-safe; they do not block. put_code throws OutOfMemory.
void put_code(Writer& writer, const std::error_code& code);
[[nodiscard]] std::error_code take_code(Reader& reader);

}  // namespace procession::detail
