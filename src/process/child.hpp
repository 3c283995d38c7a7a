// One child of this process, as this process keeps it, and the list of all of them.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "process/start_order.hpp"
#include "procession/detail/task.hpp"
#include "procession/types.hpp"
#include "system/descriptor.hpp"
#include "system/process.hpp"

namespace procession::detail {

// Thread-safe. Belongs to the process that started it: a forked copy is inert.
class Child {
 public:
  // Makes the process: it runs `task`. Throws NotShippable, SystemError, OutOfMemory, and then
  // nothing is left of it.
  static std::shared_ptr<Child> start(const std::string& name, StartMethod method, StartOrder order,
                                      Task& task);
  ~Child();  // neither waits nor kills

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool daemon() const noexcept { return daemon_; }
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  [[nodiscard]] std::string name() const;
  void set_name(const std::string& name);
  [[nodiscard]] bool started() const noexcept { return started_.load(std::memory_order_acquire); }

  [[nodiscard]] bool ended() const;
  // False: still running at the deadline.
  bool wait(std::optional<std::chrono::steady_clock::time_point> deadline) const;
  // REQUIRES: ended(). What became of it; the first call takes it from the kernel and returns
  // what it held to the family.
  ExitRecord collect();
  bool signal(int number) const { return send_signal(pidfd_.get(), number); }
  // SIGTERM; SIGKILL should it not heed that; waits and collects.
  void end_daemon();

  // Neither started by this process nor by a copy of it: the caller was forked since.
  [[nodiscard]] bool foreign() const noexcept;

 private:
  Child() = default;
  void start_forked(Task& task, StartOrder& order, int report);
  void start_served(Task& task, const StartOrder& order, bool spawn, int report);
  void undo();
  void await_report(int report);  // throws if the start failed

  mutable std::mutex mutex_;
  std::string name_;
  unsigned owner_ = 0;  // fork_epoch() of the process that started it
  pid_t pid_ = 0;
  bool daemon_ = false;
  bool served_ = false;  // the fork server is its parent
  std::uint32_t slot_ = 0;
  std::uint32_t generation_ = 0;
  Descriptor pidfd_;
  std::optional<ExitRecord> record_;
  std::atomic<bool> started_{false};  // start() is over: what it wrote is there for every thread
};

// The children that have not been collected, but for those that a thread is just starting. Empty in
// a process that was forked.
std::vector<std::shared_ptr<Child>> all_children();

// What every process does at its end: daemon children are terminated, others joined.
void settle_children() noexcept;
// True from then on: nothing that dies is to be replaced.
[[nodiscard]] bool process_is_ending() noexcept;

// Who this process is.
const std::string& identity() noexcept;
std::string next_child_name(std::string* identity);
void set_identity(std::string identity);

StartMethod default_start_method() noexcept;  // counts as a use
void set_inherited_start_method(StartMethod method) noexcept;

// Runs the body as the target of a child and exits; see API: exit codes, uncaught exceptions,
// flushing, the parent's atexit handlers. `fresh`: this process was executed and may run its own.
[[noreturn]] void run_as_child(bool fresh, void (*body)(void*), void* argument);

// In the child: brings limits, affinity and environment into force, reports, and runs what the
// block at the slot says.
[[noreturn]] void run_received_task(bool fresh);
// Applies the order; on failure reports to the parent and exits.
void obey(StartOrder& order);

// Where obey() tells the parent; closed by it.
void set_report_descriptor(int descriptor) noexcept;

// Null device as standard input.
void close_stdin() noexcept;
void flush_streams() noexcept;

// The write end stays here, children die with it.
int life_pipe_end();
std::vector<int> life_pipe_descriptors();

// True once main() can divert a child (procession/main.hpp).
[[nodiscard]] bool diverts() noexcept;
// Throws StateError, or in an undiverted child ends it with a sentence.
void require_diversion();

}  // namespace procession::detail
