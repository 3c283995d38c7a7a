// Processes.
//
//   mp::Process greet([](std::string name) { std::cout << "hello " << name << '\n'; }, "Ada");
//   greet.start();
//   greet.join();                                // greet.exitcode() == 0
//
//   mp::Process limited({.name = "parser", .limits = {.memory = 256 << 20}}, parse, path);
//   limited.start();
//   if (!limited.join(5s)) limited.kill();       // on time, whatever it does
//
// A child starts by the fork server unless told otherwise: its target and arguments must be
// shippable. With StartMethod::Fork anything goes, closures by reference included.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "procession/detail/deadline.hpp"
#include "procession/detail/task.hpp"
#include "procession/types.hpp"

namespace procession {

struct ProcessOptions {
  std::string name{};   // default "Process-1", children "Process-1:1", ...; others than the parent
                        // see 95 bytes of it
  bool daemon = false;  // terminated, not waited for, when its parent ends
  std::optional<StartMethod> start_method{};         // default: get_start_method()
  Limits limits{};                                   // enforced by the kernel
  std::map<std::string, std::string> environment{};  // added to the child's
  std::vector<int> cpus{};                           // affinity; empty: the caller's
};

// Owns one child. Move-only; a moved-from Process takes no call but destruction and assignment
// (StateError). The calls of one Process may come from several threads, but for its destruction,
// assignment and close().
class Process {
 public:
  // Does not start anything. The target is copied or moved in, with its arguments.
  template <class F, class... Args>
  requires(!std::is_same_v<std::decay_t<F>, ProcessOptions> &&
           !std::is_same_v<std::decay_t<F>, Process>) explicit Process(F&& target,
                                                                       Args&&... arguments)
      : Process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(arguments)...) {}
  template <class F, class... Args>
  Process(ProcessOptions options, F&& target, Args&&... arguments)
      : Process(std::move(options),
                detail::make_task(std::forward<F>(target), std::forward<Args>(arguments)...),
                FromTask{}) {}

  // Started and not daemon: waits for its end. Daemon: SIGTERM, and SIGKILL should it not heed
  // that within a second; then reaps.
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;  // ends what it owned as the destructor does

  // Makes the process. Returns when it exists; with limits or cpus, when they are in force. May
  // be called again after it threw. StateError: started before. NotShippable: target or arguments
  // cannot travel. SystemError: the kernel refused; code() and phase() say what. OutOfMemory.
  void start();

  // Waits for the end. StateError before start(), after close(), and in any other process than
  // the one that started it.
  void join();
  // False: still running. A duration below zero is zero.
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> duration) {
    return join_until(detail::deadline_after(duration));
  }

  [[nodiscard]] bool is_alive() const;  // false before start()

  // StateError if not started; no error if it has ended.
  void terminate();  // SIGTERM
  void kill();       // SIGKILL
  void interrupt();  // SIGINT
  void send_signal(int signal);

  // Gives up what the object holds. StateError while it runs; every later call: StateError.
  void close();

  [[nodiscard]] pid_t pid() const;  // 0 before start
  [[nodiscard]] std::string name() const;
  void set_name(std::string name);
  [[nodiscard]] bool daemon() const;
  void set_daemon(bool daemon);  // StateError after start

  // None while it runs or before it does; n as it exited (1 for an uncaught exception), -N for
  // signal N.
  [[nodiscard]] std::optional<int> exitcode() const;
  [[nodiscard]] ProcessState state() const;  // asked of the kernel
  [[nodiscard]] Usage usage() const;         // so far, or when it ended
  // Readable (poll, epoll, select) when the process has ended. Owned by the Process. StateError
  // before start().
  [[nodiscard]] int sentinel() const;

 private:
  struct FromTask {};
  Process(ProcessOptions options, std::unique_ptr<detail::Task> task, FromTask);
  bool join_until(detail::TimePoint deadline);
  class Impl;
  Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

// The calling process. In the root its name is "MainProcess".
[[nodiscard]] ProcessInfo current_process();
// Who started it; none in the root.
[[nodiscard]] std::optional<ProcessInfo> parent_process();
// The children of this process that have not ended. Those that have are reaped.
[[nodiscard]] std::vector<ProcessInfo> active_children();

[[nodiscard]] int cpu_count();         // of the machine, online
[[nodiscard]] int usable_cpu_count();  // allowed by affinity and cgroup quota

// The default for Process and Pool. StateError when it was set or used before, without `force`.
void set_start_method(StartMethod method, bool force = false);
[[nodiscard]] StartMethod get_start_method();
[[nodiscard]] std::vector<StartMethod> get_all_start_methods();  // the default first

namespace detail {
// The processes and descriptors that the library keeps in this process for as long as it lives.
[[nodiscard]] std::vector<pid_t> service_processes();
[[nodiscard]] std::vector<int> service_descriptors();
}  // namespace detail

}  // namespace procession
