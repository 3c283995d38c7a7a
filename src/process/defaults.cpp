// What a process is and starts others with: its identity, the names of its children, the default
// start method, the logger.
#include <unistd.h>

#include <atomic>

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

std::string own_identity;  // written once, before the process runs anything of the program's
std::atomic<unsigned> made{0};

// The default start method, 1 above its number, and whether it was set or used; 0: neither. One
// word and no mutex, which a forked child might find locked by a thread that it does not have.
constexpr unsigned fixed = 0x100;
std::atomic<unsigned> method_word{0};

StartMethod method_in(unsigned word) noexcept {
  const unsigned method = word & (fixed - 1);
  return method == 0 ? StartMethod::ForkServer : static_cast<StartMethod>(method - 1);
}

unsigned word_of(StartMethod method) noexcept { return static_cast<unsigned>(method) + 1; }

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

StartMethod default_start_method() noexcept { return method_in(method_word.fetch_or(fixed)); }

[[gnu::hot]] void set_inherited_start_method(StartMethod method) noexcept {
  method_word.store(word_of(method) | fixed);
}

}  // namespace detail

void set_start_method(StartMethod method, bool force) {
  const unsigned word = detail::word_of(method) | detail::fixed;
  unsigned neither = 0;
  if (force) {
    detail::method_word.store(word);
  } else if (!detail::method_word.compare_exchange_strong(neither, word)) {
    throw StateError(
        "set_start_method() after the start method was set or used; set it once, "
        "first, or pass force = true");
  }
}

StartMethod get_start_method() { return detail::method_in(detail::method_word.load()); }

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
