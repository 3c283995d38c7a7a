// What a process is and starts others with: its identity, the names of its children, the default
// start method, the logger.
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "memory/family.hpp"
#include "process/child.hpp"
#include "process/fork_server.hpp"
#include "procession/errors.hpp"
#include "procession/log.hpp"
#include "procession/process.hpp"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace procession {
namespace detail {
namespace {

std::mutex mutex;
std::string own_identity;  // guarded by mutex
std::atomic<unsigned> made{0};
std::optional<StartMethod> chosen;  // guarded by mutex
bool used = false;                  // guarded by mutex

}  // namespace

const std::string& identity() noexcept { return own_identity; }

[[gnu::hot]] void set_identity(std::string identity) {
  own_identity = std::move(identity);
  made.store(0);
}

std::string next_child_name(std::string* identity) {
  const unsigned number = made.fetch_add(1) + 1;
  *identity = (own_identity.empty() ? "" : own_identity + ":") + std::to_string(number);
  return "Process-" + *identity;
}

StartMethod default_start_method() noexcept {
  std::lock_guard guard(mutex);
  used = true;
  return chosen.value_or(StartMethod::ForkServer);
}

[[gnu::hot]] void set_inherited_start_method(StartMethod method) noexcept { chosen = method; }

}  // namespace detail

void set_start_method(StartMethod method, bool force) {
  std::lock_guard guard(detail::mutex);
  if (!force && (detail::chosen || detail::used)) {
    throw StateError(
        "set_start_method() after the start method was set or used; set it once, "
        "first, or pass force = true");
  }
  detail::chosen = method;
}

StartMethod get_start_method() {
  std::lock_guard guard(detail::mutex);
  return detail::chosen.value_or(StartMethod::ForkServer);
}

std::vector<StartMethod> get_all_start_methods() {
  return {StartMethod::ForkServer, StartMethod::Fork, StartMethod::Spawn};
}

std::shared_ptr<spdlog::logger> get_logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("procession",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::warn);
    made->set_pattern("[%n %l] [pid %P] %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger;
}

void log_to_stderr(spdlog::level::level_enum level) {
  get_logger()->set_level(level);
  get_logger()->set_pattern("[" + current_process().name() + " %P] [%l] %v");
}

}  // namespace procession
