#include "process/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <new>
#include <optional>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "process/fork_server.hpp"
#include "process/shared_names.hpp"
#include "procession/errors.hpp"
#include "procession/log.hpp"
#include "procession/process.hpp"
#include "ship/exceptions.hpp"
#include "ship/modules.hpp"
#include "spdlog/logger.h"
#include "system/cpu.hpp"
#include "system/daemon_pipe.hpp"
#include "system/errors.hpp"
#include "system/futex.hpp"
#include "system/proc.hpp"

namespace procession::detail {
namespace {

std::atomic<bool> ending{false};

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<Child>> children;
};

[[gnu::hot]] Registry& registry() {
  alignas(Registry) static std::byte storage[sizeof(Registry)];
  static auto* made = new (storage) Registry;
  return *made;
}

[[gnu::hot]] void forget_inherited_children() noexcept {
  new (&registry()) Registry;  // the children of another process
  ending.store(false, std::memory_order_relaxed);
  forget_inherited_server();
}

// Once: at the end of this process its children are settled; in a forked one it has none.
void prepare_process_layer() {
  static const bool done = [] {
    (void)registry();
    pthread_atfork(nullptr, nullptr, forget_inherited_children);
    set_process_name_source([] { return current_process().name(); });
    std::atexit([] {
      settle_children();
      guard_names();
    });
    return true;
  }();
  (void)done;
}

void enroll(const std::shared_ptr<Child>& child) {
  std::lock_guard guard(registry().mutex);
  registry().children.push_back(child);
}

void strike(const Child* child) {
  std::lock_guard guard(registry().mutex);
  std::erase_if(registry().children, [&](const auto& each) { return each.get() == child; });
}

// The block at the slot: header, order, target.
void write_task(std::uint32_t slot, const StartOrder& order, const Task& task, bool spawn) {
  Writer writer("Process::start", sizeof(TaskHeader));
  order.write(writer);
  task.write(writer);
  const CodeAddress entry = code_address(reinterpret_cast<const void*>(task.entry()));
  if (!spawn) {
    const LoadedSet served = served_modules();
    require_module(entry, served, "Process::start");
    require_modules(writer, served);
  }
  const std::size_t bytes = writer.size();
  void* block = writer.finish();
  new (block) TaskHeader{entry, bytes};
  hand_over(block, slot_at(slot).task);
}

void warn_of_threads(const std::string& name, int threads) {
  static std::atomic<bool> warned{false};
  if (threads < 2 || warned.exchange(true)) return;
  get_logger()->warn(
      "{} is started with StartMethod::Fork while this process has {} threads: the child has a "
      "copy of every lock that they hold and none of them to release it; use ForkServer or Spawn",
      name, threads);
}

struct Pipe {
  Descriptor in, out;
  void make() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_system_error(errno, "make a pipe");
    in.reset(above_standard(ends[0]));
    out.reset(above_standard(ends[1]));
  }
};

// No handler runs in this thread meanwhile.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { restore(); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  void restore() noexcept { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// Whether a child that has ended could be reaped, and its pid given away, before this thread opens
// its pidfd, signals being blocked: by another thread, or by the kernel.
bool may_be_reaped_at_once(int threads) noexcept {
  if (threads != 1) return true;
  struct sigaction action {};
  return sigaction(SIGCHLD, nullptr, &action) != 0 || action.sa_handler == SIG_IGN ||
         (action.sa_flags & SA_NOCLDWAIT) != 0;
}

// Tells the child that the parent holds its pidfd; the end of the pipe tells that it is gone.
struct Gate : Pipe {
  Gate() { make(); }
  void open() noexcept {
    const char go = 1;
    (void)!write(out.get(), &go, 1);
  }
  void pass() noexcept {
    out.reset();
    char go = 0;
    while (read(in.get(), &go, 1) < 0 && errno == EINTR) {
    }
    in.reset();
  }
};

}  // namespace

namespace {

LifePipe& life_pipe() {
  static auto* pipe = new LifePipe;  // for as long as the process lives
  return *pipe;
}

}  // namespace

int life_pipe_end() { return life_pipe().read_end(); }

std::vector<int> life_pipe_descriptors() { return life_pipe().descriptors(); }

std::shared_ptr<Child> Child::start(const std::string& name, StartMethod method, StartOrder order,
                                    Task& task) {
  ensure_family();
  prepare_process_layer();
  std::shared_ptr<Child> child(new Child);
  child->name_ = name;
  child->owner_ = fork_epoch();
  child->daemon_ = order.daemon;
  child->served_ = method != StartMethod::Fork;
  if (child->served_) require_diversion();
  order.default_method = static_cast<std::uint8_t>(get_start_method());
  order.report = method == StartMethod::Spawn || !order.cpus.empty() || order.limits.memory ||
                 order.limits.cpu_time || order.limits.open_files || order.limits.core_dump;
  Pipe report;
  enroll(child);
  try {
    if (order.report) report.make();
    child->slot_ = claim_slot(name, order.daemon);
    child->generation_ = generation_of(child->slot_);
    if (child->served_) {
      if (order.cpus.empty()) {
        (void)served_modules();  // starts it
        const std::vector<int> cpus = get_affinity();
        if (cpus != server_affinity()) order.cpus = cpus;
      }
      child->start_served(task, order, method == StartMethod::Spawn, report.out.get());
    } else {
      child->start_forked(task, order, report.out.get());
    }
    report.out.reset();
    if (order.report) child->await_report(report.in.get());
    child->started_.store(true, std::memory_order_release);
  } catch (const SystemError& error) {
    child->undo();
    if (std::string_view(error.what()).find(name) != std::string_view::npos) throw;
    throw SystemError(error.code(), error.phase(), "cannot start " + name + ": " + error.what());
  } catch (...) {
    child->undo();
    throw;
  }
  return child;
}

// A start that failed leaves nothing.
void Child::undo() {
  strike(this);
  if (slot_ != 0) collect_slot(slot_, generation_);
}

void Child::start_served(Task& task, const StartOrder& order, bool spawn, int report) {
  write_task(slot_, order, task, spawn);
  ServedProcess made = request_process(spawn, slot_, generation_, daemon_, report);
  pid_ = made.pid;
  pidfd_ = std::move(made.pidfd);
}

namespace {

[[gnu::hot]] void run_task(void* task) { static_cast<Task*>(task)->run(); }

}  // namespace

[[gnu::hot]] void Child::start_forked(Task& task, StartOrder& order, int report) {
  const int threads = thread_count();
  warn_of_threads(name_, threads);
  const int life = order.daemon ? life_pipe_end() : -1;
  std::optional<Gate> gate;
  if (may_be_reaped_at_once(threads)) gate.emplace();
  flush_streams();  // else the child would write it once more
  set_next_fork_slot(slot_, generation_);
  SignalsBlocked signals;
  const pid_t pid = fork();
  if (pid == 0) {
    if (self_index() == 0 || (order.daemon && !die_with(life))) _exit(127);
    if (gate) gate->pass();
    signals.restore();
    close_stdin();
    set_report_descriptor(report);
    obey(order);
    run_as_child(false, run_task, &task);
  }
  if (pid < 0) throw_system_error(errno, "fork");
  pid_ = pid;
  try {
    pidfd_ = open_pidfd(pid);
  } catch (...) {
    ::kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    throw;
  }
  if (gate) gate->open();
}

// Until the child says that its start went well or not, or ends without a word: its end of the
// pipe then closes.
void Child::await_report(int report) {
  char word = 0;
  while (read(report, &word, 1) < 0 && errno == EINTR) {
  }
  ProcessSlot& slot = slot_at(slot_);
  const std::uint32_t outcome = slot.report.load(std::memory_order_acquire);
  if (outcome == 1) return;
  wait(std::nullopt);
  const int error = outcome == 2 ? slot.report_error : ECHILD;
  const std::string phase = outcome == 2 ? slot.report_phase : "attach";
  const std::string text = outcome == 2 ? slot.report_text : "it ended before it could say why";
  collect();
  throw SystemError(
      error, phase,
      "cannot start " + name_ + ": " + phase + ": " + text + " (" + error_name(error) + ")");
}

Child::~Child() = default;

bool Child::foreign() const noexcept { return owner_ != fork_epoch(); }

std::string Child::name() const {
  std::lock_guard guard(mutex_);
  return name_;
}

void Child::set_name(const std::string& name) {
  std::lock_guard guard(mutex_);
  name_ = name;
  if (!record_ && slot_ != 0) copy_text(slot_at(slot_).name, sizeof(ProcessSlot::name), name);
}

bool Child::ended() const { return pidfd_ended(pidfd_.get()); }

bool Child::wait(std::optional<std::chrono::steady_clock::time_point> deadline) const {
  return wait_pidfd(pidfd_.get(), deadline);
}

namespace {

// Whether the server, which the end of the process has woken too, writes it down in the time that a
// question would take. With one CPU it could not run meanwhile.
bool soon_written_down(const ProcessSlot& slot) noexcept {
  static const int looks = usable_cpu_count() > 1 ? 200 : 1;
  for (int look = 0; look < looks; ++look) {
    if (slot.ended.load(std::memory_order_acquire) != 0) return true;
    cpu_relax();
    cpu_relax();
  }
  return false;
}

}  // namespace

ExitRecord Child::collect() {
  std::lock_guard guard(mutex_);
  if (record_) return *record_;
  ExitRecord record;
  ProcessSlot& slot = slot_at(slot_);
  if (served_) {
    // The server reaps by itself, but may not have got to it yet.
    if (!soon_written_down(slot)) (void)request_reap(slot_, generation_);
    if (slot.ended.load(std::memory_order_acquire) != 0) {
      record.status = slot.wait_status;
      record.user_time = std::chrono::nanoseconds(slot.user_ns);
      record.system_time = std::chrono::nanoseconds(slot.system_ns);
      record.peak_memory = slot.peak_bytes;
    } else if (reap(pidfd_.get(), false, record) == ReapOutcome::NotOurs) {
      // The server was killed, and whoever took its children over has reaped this one.
      record.status = exit_status_from_pidfd(pidfd_.get()).value_or(slot.own_status);
    }
  } else if (const ReapOutcome outcome = reap(pidfd_.get(), true, record);
             outcome != ReapOutcome::Reaped) {
    // Somebody else's wait took it, or SIGCHLD is ignored. The kernel may have kept the status
    // (6.15); for the rest there is what the process wrote down at its end.
    if (outcome == ReapOutcome::NotOurs) record.status = slot.own_status;
    record.user_time = std::chrono::nanoseconds(slot.user_ns);
    record.system_time = std::chrono::nanoseconds(slot.system_ns);
    record.peak_memory = slot.peak_bytes;
  }
  collect_slot(slot_, generation_);
  record_ = record;
  strike(this);
  return record;
}

void Child::end_daemon() {
  signal(SIGTERM);
  if (!wait(std::chrono::steady_clock::now() + std::chrono::seconds(1))) signal(SIGKILL);
  wait(std::nullopt);
  collect();
}

[[gnu::hot]] std::vector<std::shared_ptr<Child>> all_children() {
  std::lock_guard guard(registry().mutex);
  std::vector<std::shared_ptr<Child>> started;
  for (const auto& child : registry().children) {
    if (child->started()) started.push_back(child);
  }
  return started;
}

bool process_is_ending() noexcept { return ending.load(std::memory_order_acquire); }

[[gnu::hot]] void settle_children() noexcept {
  ending.store(true, std::memory_order_release);
  try {
    const auto children = all_children();
    for (const auto& child : children) {
      if (child->daemon()) child->signal(SIGTERM);
    }
    for (const auto& child : children) {
      if (child->daemon()) {
        child->end_daemon();
      } else {
        child->wait(std::nullopt);
        child->collect();
      }
    }
  } catch (const std::exception& error) {
    std::cerr << "procession: at the end of the process: " << error.what() << '\n';
  }
}

}  // namespace procession::detail
