// Failed system calls as exceptions. Thread-safe; nothing here blocks.
#pragma once

#include <string>
#include <string_view>

namespace procession::detail {

// Throws SystemError. `doing` is what was tried, in the infinitive: "open /x" makes
// "cannot open /x: Permission denied (EACCES)". It is also the error's phase().
[[noreturn]] void throw_system_error(int error, std::string_view doing);

// "EACCES"; "errno 4711" for a number without a name.
std::string error_name(int error);

}  // namespace procession::detail
