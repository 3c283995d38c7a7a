// The child's side of a start.
#include <cxxabi.h>
#include <fcntl.h>
#if __has_include(<ext/stdio_sync_filebuf.h>)
#include <ext/stdio_sync_filebuf.h>
#endif
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <typeinfo>

#include "memory/family.hpp"
#include "process/child.hpp"
#include "process/descriptor_keeper.hpp"
#include "process/fork_server.hpp"
#include "process/shared_names.hpp"
#include "procession/detail/exceptions.hpp"
#include "procession/errors.hpp"
#include "system/cpu.hpp"
#include "system/daemon_pipe.hpp"
#include "system/errors.hpp"
#include "system/stack_trace.hpp"

extern "C" void __gcov_dump() __attribute__((weak));

namespace procession::detail {
namespace {

void limit(int resource, rlim_t soft, rlim_t hard, const char* phase) {
  rlimit current{};
  getrlimit(static_cast<__rlimit_resource>(resource), &current);
  const rlimit wanted{soft, hard < current.rlim_max ? hard : std::max(current.rlim_max, soft)};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &wanted) != 0) {
    throw SystemError(errno, phase, std::strerror(errno));
  }
}

void apply(const Limits& limits) {
  // RLIMIT_DATA counts what is private to the process; the family memory is not.
  if (limits.memory) limit(RLIMIT_DATA, *limits.memory, *limits.memory, "limit memory");
  if (limits.core_dump) limit(RLIMIT_CORE, *limits.core_dump, *limits.core_dump, "limit core_dump");
  if (limits.cpu_time) {
    const auto seconds = static_cast<rlim_t>(limits.cpu_time->count());
    limit(RLIMIT_CPU, seconds, seconds + 1, "limit cpu_time");
  }
  if (limits.open_files) {
    const auto files = static_cast<rlim_t>(*limits.open_files);
    limit(RLIMIT_NOFILE, files, files, "limit open_files");
  }
}

int report_descriptor = -1;

void report(std::uint32_t outcome, int error, const std::string& phase, const std::string& text) {
  ProcessSlot& slot = self();
  slot.report_error = error;
  copy_text(slot.report_phase, sizeof slot.report_phase, phase);
  copy_text(slot.report_text, sizeof slot.report_text, text);
  slot.report.store(outcome, std::memory_order_release);
  if (report_descriptor < 0) return;
  (void)!write(report_descriptor, "r", 1);
  close(report_descriptor);
  report_descriptor = -1;
}

void report_uncaught(const ThrowSite& site) {
  const std::string text = std::string(self().name) + " (pid " + std::to_string(getpid()) +
                           ") ended by an uncaught exception: " + describe_current_exception() +
                           '\n' + render_stack(site.stack(), 32);
  std::fflush(stdout);
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

std::uint64_t nanoseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_usec) * 1000;
}

// For a parent that cannot hear it from the kernel.
[[gnu::hot]] void write_down_end(int status) {
  if (self_index() == 0) return;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  ProcessSlot& slot = self();
  slot.user_ns = nanoseconds(used.ru_utime);
  slot.system_ns = nanoseconds(used.ru_stime);
  slot.peak_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
  slot.own_status = (status & 0xff) << 8;
  if (slot.own_status == 0) note_done();
}

void flush(std::ostream& out) {
#if __has_include(<ext/stdio_sync_filebuf.h>)
  // In step with stdio, as it is unless the program has wished otherwise: it holds nothing back.
  const auto* buffer = out.rdbuf();
  if (buffer != nullptr && typeid(*buffer) == typeid(__gnu_cxx::stdio_sync_filebuf<char>)) return;
#endif
  out.flush();
}

void note_end(int status, void*) {
  guard_names();
  write_down_end(status);
}

// The last of the handlers registered in this process: those that a forked copy has inherited
// are its parent's, and come after it.
[[gnu::hot]] void leave(int status, void*) {
  settle_children();
  guard_names();
  flush_streams();
  write_down_end(status);
  if (__gcov_dump != nullptr) __gcov_dump();
  _exit(status & 0xff);
}

}  // namespace

[[gnu::hot]] void flush_streams() noexcept {
  flush(std::cout);
  flush(std::clog);
  flush(std::cerr);
  std::fflush(nullptr);
}

[[gnu::hot]] void set_report_descriptor(int descriptor) noexcept { report_descriptor = descriptor; }

[[gnu::hot]] void close_stdin() noexcept {
  close(STDIN_FILENO);        // the lowest number there is: what is opened next
  char path[] = "/dev/null";  // on the stack: one page less to be mapped
  (void)open(path, O_RDONLY);
}

[[gnu::hot]] void obey(StartOrder& order) {
  try {
    set_identity(std::move(order.identity));
    set_inherited_start_method(static_cast<StartMethod>(order.default_method));
    for (const auto& [name, value] : order.environment) setenv(name.c_str(), value.c_str(), 1);
    if (!order.cpus.empty()) set_affinity(order.cpus);
    apply(order.limits);
    if (order.report) report(1, 0, "", "");
  } catch (const SystemError& error) {
    report(2, error.code(), error.phase(), error.what());
    _exit(127);
  } catch (const std::exception& error) {
    report(2, EINVAL, "options", error.what());
    _exit(127);
  }
}

[[gnu::hot]] void run_as_child(bool fresh, void (*body)(void*), void* argument) {
  // A program that was executed anew goes through its own end; this only writes it down.
  on_exit(fresh ? note_end : leave, nullptr);
  int status = 0;
  ThrowSite site;
  try {
    call_watching_throws(body, argument, site);
  } catch (abi::__forced_unwind&) {
    throw;  // pthread_exit() in the target
  } catch (...) {
    report_uncaught(site);
    status = 1;
  }
  std::exit(status);
}

void run_received_task(bool fresh) {
  ProcessSlot& slot = self();
  auto* block = static_cast<std::byte*>(slot.task.load(std::memory_order_acquire));
  const TaskHeader header = *reinterpret_cast<TaskHeader*>(block);
  Reader reader(block, header.bytes, sizeof(TaskHeader));
  StartOrder order;
  TaskEntry entry = nullptr;
  try {
    order = StartOrder::read(reader);
    entry = reinterpret_cast<TaskEntry>(resolve(header.entry));
    if (entry == nullptr) throw NotShippable("the target is in a module that it has not loaded");
  } catch (const std::exception& error) {
    report(2, ENOEXEC, "target", error.what());
    _exit(127);
  }
  obey(order);
  struct Call {
    TaskEntry entry;
    Reader& reader;
  } call{entry, reader};
  const auto run = [](void* opaque) {
    const auto& the = *static_cast<const Call*>(opaque);
    the.entry(the.reader);
  };
  run_as_child(fresh, run, &call);
}

}  // namespace procession::detail

namespace procession {

namespace {
std::atomic<bool> main_diverts{false};
}

void divert_main() {
  main_diverts.store(true, std::memory_order_release);
  const detail::Inheritance* inherited = detail::inheritance();
  if (inherited == nullptr) return;
  // It was executed as /proc/self/exe: it shall be listed under the program's name.
  prctl(PR_SET_NAME, program_invocation_short_name);
  detail::ensure_family();
  if (inherited->keeper != 0) detail::keep_descriptors(inherited->report);
  if (inherited->channel >= 0) detail::serve(inherited->channel, inherited->life);
  if (inherited->life >= 0) {
    if (!detail::die_with(inherited->life)) _exit(127);
    close(inherited->life);
  }
  detail::set_report_descriptor(inherited->report);
  detail::run_received_task(true);
}

namespace detail {

bool diverts() noexcept { return main_diverts.load(std::memory_order_acquire); }

void require_diversion() {
  if (diverts()) return;
  if (inheritance() != nullptr) {
    std::fputs(
        "procession: a process that the library executed has reached the program's own "
        "code: main() is not diverted, or a Process or Pool is started during static "
        "initialisation; link procession::procession into the executable, or call "
        "procession::divert_main() first in main()\n",
        stderr);
    std::_Exit(126);
  }
  throw StateError(
      "a process is started by fork server or spawn before main() can divert it: "
      "link procession::procession into the executable (it wraps main), or call "
      "procession::divert_main() first in main(), and start processes only after "
      "that; StartMethod::Fork works without");
}

}  // namespace detail
}  // namespace procession
