// The library's logger.
#pragma once

#include <spdlog/common.h>

#include <memory>

namespace spdlog {
class logger;
}

namespace procession {

// "procession": warnings and errors to stderr. Thread-safe; each process has its own.
std::shared_ptr<spdlog::logger> get_logger();

// Everything from `level` on to stderr, headed by process name and pid.
void log_to_stderr(spdlog::level::level_enum level = spdlog::level::info);

}  // namespace procession
