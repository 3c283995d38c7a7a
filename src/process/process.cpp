#include "procession/process.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "memory/family.hpp"
#include "process/child.hpp"
#include "process/descriptor_keeper.hpp"
#include "process/fork_server.hpp"
#include "procession/errors.hpp"
#include "system/cpu.hpp"
#include "system/proc.hpp"

namespace procession {

class Process::Impl {
 public:
  enum class Stage { New, Started, Closed };

  std::string name() const {
    std::lock_guard guard(changing);
    return options.name;
  }
  // What a call needs that acts on a started process.
  detail::Child& started(const char* call) const {
    refuse_closed(call);
    if (stage == Stage::New) {
      throw StateError(std::string(call) + " on " + name() +
                       ", which has not been started; call start() first");
    }
    if (child->foreign()) {
      throw StateError(std::string(call) + " on " + name() +
                       " in a process that did not start it; only its parent can do that");
    }
    return *child;
  }
  void refuse_closed(const char* call) const {
    if (stage == Stage::Closed) {
      throw StateError(std::string(call) + " on " + name() + ", which has been closed");
    }
  }

  void finish() {
    if (stage != Stage::Started || child->foreign()) return;
    if (child->daemon() && !child->ended()) {
      child->end_daemon();
    } else {
      child->wait(std::nullopt);
      child->collect();
    }
  }

  std::mutex starting;          // one start at a time; nothing is changed meanwhile
  mutable std::mutex changing;  // options.name and options.daemon; taken after `starting`
  ProcessOptions options;
  std::string identity;
  std::unique_ptr<detail::Task> task;
  std::atomic<Stage> stage{Stage::New};
  std::shared_ptr<detail::Child> child;
};

Process::Process(ProcessOptions options, std::unique_ptr<detail::Task> task, FromTask)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->task = std::move(task);
  const std::string name = detail::next_child_name(&impl_->identity);
  if (impl_->options.name.empty()) impl_->options.name = name;
}

Process::~Process() {
  if (impl_) impl_->finish();
}

Process::Process(Process&&) noexcept = default;

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    if (impl_) impl_->finish();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Process::Impl& Process::impl() const {
  if (impl_ == nullptr) {
    throw StateError("a call on a Process that was moved from; use the one that it was moved to");
  }
  return *impl_;
}

void Process::start() {
  Impl& the = impl();
  std::lock_guard guard(the.starting);
  the.refuse_closed("start()");
  if (the.stage == Impl::Stage::Started) {
    throw StateError("start() on " + the.name() +
                     ", which was started before; make a new Process for another run");
  }
  const StartMethod method =
      the.options.start_method ? *the.options.start_method : detail::default_start_method();
  detail::StartOrder order;
  order.identity = the.identity;
  order.daemon = the.options.daemon;
  order.limits = the.options.limits;
  order.environment = the.options.environment;
  order.cpus = the.options.cpus;
  the.child = detail::Child::start(the.options.name, method, std::move(order), *the.task);
  the.stage = Impl::Stage::Started;
  the.task.reset();
}

void Process::join() {
  detail::Child& child = impl().started("join()");
  child.wait(std::nullopt);
  child.collect();
}

bool Process::join_until(detail::TimePoint deadline) {
  detail::Child& child = impl().started("join()");
  if (!child.wait(deadline)) return false;
  child.collect();
  return true;
}

bool Process::is_alive() const {
  Impl& the = impl();
  the.refuse_closed("is_alive()");
  if (the.stage == Impl::Stage::New) return false;
  detail::Child& child = the.started("is_alive()");
  if (!child.ended()) return true;
  child.collect();
  return false;
}

void Process::send_signal(int signal) { impl().started("send_signal()").signal(signal); }
void Process::terminate() { impl().started("terminate()").signal(SIGTERM); }
void Process::kill() { impl().started("kill()").signal(SIGKILL); }
void Process::interrupt() { impl().started("interrupt()").signal(SIGINT); }

void Process::close() {
  Impl& the = impl();
  the.refuse_closed("close()");
  if (the.stage == Impl::Stage::Started) {
    detail::Child& child = the.started("close()");
    if (!child.ended()) {
      throw StateError("close() on " + the.name() +
                       ", which is still running; join() or terminate() it first");
    }
    child.collect();
  }
  the.child.reset();
  the.task.reset();
  the.stage = Impl::Stage::Closed;
}

pid_t Process::pid() const {
  Impl& the = impl();
  the.refuse_closed("pid()");
  return the.stage == Impl::Stage::Started ? the.child->pid() : 0;
}

std::string Process::name() const {
  Impl& the = impl();
  the.refuse_closed("name()");
  return the.stage == Impl::Stage::Started ? the.child->name() : the.name();
}

void Process::set_name(std::string name) {
  Impl& the = impl();
  the.refuse_closed("set_name()");
  std::lock_guard starting(the.starting);
  if (the.stage == Impl::Stage::Started) the.child->set_name(name);
  std::lock_guard guard(the.changing);
  the.options.name = std::move(name);
}

bool Process::daemon() const {
  Impl& the = impl();
  the.refuse_closed("daemon()");
  std::lock_guard guard(the.changing);
  return the.options.daemon;
}

void Process::set_daemon(bool daemon) {
  Impl& the = impl();
  the.refuse_closed("set_daemon()");
  std::lock_guard starting(the.starting);
  if (the.stage != Impl::Stage::New) {
    throw StateError("set_daemon() on " + the.name() +
                     ", which has been started; set it before start()");
  }
  std::lock_guard guard(the.changing);
  the.options.daemon = daemon;
}

std::optional<int> Process::exitcode() const {
  Impl& the = impl();
  the.refuse_closed("exitcode()");
  if (the.stage == Impl::Stage::New) return std::nullopt;
  detail::Child& child = the.started("exitcode()");
  if (!child.ended()) return std::nullopt;
  return detail::exitcode_of(child.collect().status);
}

ProcessState Process::state() const {
  Impl& the = impl();
  the.refuse_closed("state()");
  if (the.stage == Impl::Stage::New) return ProcessState::New;
  detail::Child& child = the.started("state()");
  return child.ended() ? ProcessState::Terminated : detail::observe_state(child.pid());
}

Usage Process::usage() const {
  detail::Child& child = impl().started("usage()");
  if (!child.ended()) return detail::observe_usage(child.pid());
  const detail::ExitRecord record = child.collect();
  return {record.user_time, record.system_time, record.peak_memory};
}

int Process::sentinel() const { return impl().started("sentinel()").pidfd(); }

ProcessInfo current_process() {
  detail::ensure_family();
  const detail::ProcessSlot& slot = detail::self();
  return {slot.name, getpid(), slot.daemon != 0};
}

std::optional<ProcessInfo> parent_process() {
  detail::ensure_family();
  const detail::ProcessSlot& slot = detail::self();
  if (slot.parent == 0) return std::nullopt;
  return ProcessInfo{slot.parent_name, slot.parent_pid, slot.parent_daemon != 0};
}

std::vector<ProcessInfo> active_children() {
  std::vector<ProcessInfo> active;
  for (const auto& child : detail::all_children()) {
    if (child->ended()) {
      child->collect();
    } else {
      active.emplace_back(child->name(), child->pid(), child->daemon());
    }
  }
  return active;
}

int cpu_count() { return detail::cpu_count(); }
int usable_cpu_count() { return detail::usable_cpu_count(); }

namespace detail {

std::vector<pid_t> service_processes() {
  std::vector<pid_t> all = server_pids();
  if (const pid_t keeper = keeper_pid(); keeper != 0) all.push_back(keeper);
  return all;
}

std::vector<int> service_descriptors() {
  std::vector<int> all = server_descriptors();
  if (have_family()) {
    const KeeperSockets sockets = keeper_sockets();
    all.insert(all.end(), {family_descriptor(), sockets.asking, sockets.answering});
  }
  for (const int end : life_pipe_descriptors()) all.push_back(end);
  return all;
}

}  // namespace detail
}  // namespace procession
