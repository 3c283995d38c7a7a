// Whether a thread is on a CPU at this moment.
#pragma once

#include <sys/types.h>

#include <optional>

namespace procession::detail {

// Asks the scheduler through a software event that counts nothing but the time during which the
// thread runs: it advances between two readings only if it does. None where the kernel does not
// permit such events. Never blocks; some microseconds.
std::optional<bool> on_cpu(pid_t thread) noexcept;

}  // namespace procession::detail
