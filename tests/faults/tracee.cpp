#include "tracee.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>

#include "tracing.hpp"

namespace procession::faults {

namespace {

constexpr int body_threw = 97;
// How often a process that may fall asleep is looked at. The kernel, not the time, says asleep.
constexpr std::chrono::milliseconds look_every{50};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A stop that the process gives itself; few instructions, as they are stepped too.
void stop_here(pid_t self) { ::syscall(SYS_tgkill, self, self, SIGSTOP); }

bool sent_by(pid_t pid, pid_t sender) {
  siginfo_t info{};
  return ::ptrace(PTRACE_GETSIGINFO, pid, nullptr, &info) == 0 && info.si_pid == sender;
}

// What the kernel leaves in the result register while it looks whether to restart a sleep.
bool is_interrupted(long result) { return result == -EINTR || (result <= -512 && result >= -516); }

}  // namespace

struct Tracee::Note {
  std::atomic<bool> traced;
  char error[1024];
};

void Tracee::Unmap::operator()(Note* note) const noexcept { ::munmap(note, sizeof(Note)); }

// Tracer and tracee take turns: on one CPU a turn is a context switch, on two a wake-up.
class Tracee::SameCpu {
 public:
  explicit SameCpu(pid_t pid) {
    ::sched_getaffinity(0, sizeof(before_), &before_);
    int cpu = ::sched_getcpu();
    if (cpu < 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(cpu), &one);
    ::sched_setaffinity(pid, sizeof(one), &one);
    ::sched_setaffinity(0, sizeof(one), &one);
  }
  ~SameCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }
  SameCpu(const SameCpu&) = delete;
  SameCpu& operator=(const SameCpu&) = delete;

 private:
  cpu_set_t before_{};
};

Tracee::Tracee(const Body& prepare, const Body& operation, const TraceeLimits& limits)
    : limits_(limits), deadline_(std::chrono::steady_clock::now() + limits.time) {
  void* page =
      ::mmap(nullptr, sizeof(Note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) fail("mmap");
  note_.reset(new (page) Note{});
  pid_ = ::fork();
  if (pid_ == 0) run(prepare, operation, *note_);
  if (pid_ < 0) fail("fork");
  alive_ = true;
  ::setpgid(pid_, pid_);
  // Stopped by the alarm any earlier it would stay so, as nobody is told of its stops yet.
  while (!note_->traced.load() && std::chrono::steady_clock::now() < deadline_) ::sched_yield();
  alarm_.emplace(limits_.blocks ? look_every : limits_.time, pid_, SIGSTOP);
  Stop stop = next_stop(PTRACE_CONT);
  if (stop == Stop::Finished) {
    ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL);
    return;
  }
  std::string text = "the preparation did not return";
  if (stop != Stop::Ended) text += "; it is " + describe();
  if (!error().empty()) text += ": " + error();
  kill();
  throw std::runtime_error(text);
}

Tracee::~Tracee() {
  kill();
  kill_group();
}

void Tracee::run(const Body& prepare, const Body& operation, Note& note) {
  pid_t self = ::getpid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  note.traced.store(true);
  try {
    prepare();
    stop_here(self);
    operation();
    stop_here(self);
  } catch (const std::exception& error) {
    std::strncpy(note.error, error.what(), sizeof(note.error) - 1);
    ::_exit(body_threw);
  }
  ::_exit(0);
}

Stop Tracee::step() { return resume(PTRACE_SINGLESTEP); }

Stop Tracee::resume(int request) {
  if (!alive_) return Stop::Ended;
  if (!same_cpu_) same_cpu_ = std::make_unique<SameCpu>(pid_);
  if (::ptrace(static_cast<__ptrace_request>(request), pid_, nullptr, nullptr) != 0) fail("ptrace");
  return next_stop(request);
}

// Signals that the process gets on its way are delivered, and are not an event of their own.
Stop Tracee::next_stop(int request) {
  for (;;) {
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_) fail("waitpid");
    ++stops_;
    if (!WIFSTOPPED(status)) {
      alarm_.reset();
      alive_ = false;
      status_ = status;
      return Stop::Ended;
    }
    long signal = WSTOPSIG(status);
    if (signal == SIGTRAP) return Stop::Stepped;
    if (signal == SIGSTOP) {
      if (sent_by(pid_, pid_)) return Stop::Finished;
      if (auto stop = judge_alarm()) return *stop;
      signal = 0;
    }
    if (::ptrace(static_cast<__ptrace_request>(request), pid_, nullptr, signal) != 0)
      fail("ptrace");
  }
}

// The alarm's SIGSTOP has stopped it somewhere; dropping the signal restarts an interrupted sleep.
std::optional<Stop> Tracee::judge_alarm() const {
  Registers at = registers_of(pid_);
  bool asleep = is_interrupted(at.result) && follows_system_call(pid_, at.pc);
  if (limits_.blocks && asleep) return Stop::Blocked;
  if (std::chrono::steady_clock::now() >= deadline_) return Stop::Overdue;
  return std::nullopt;
}

bool Tracee::breakpoints_work() noexcept {
#if defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

bool Tracee::set_breakpoint([[maybe_unused]] std::uintptr_t address,
                            [[maybe_unused]] bool enabled) const {
#if defined(__x86_64__)
  // DR0 holds the address; bit 0 of DR7 enables it, as one of execution.
  constexpr auto dr = [](int i) { return offsetof(user, u_debugreg) + sizeof(long) * i; };
  return ::ptrace(PTRACE_POKEUSER, pid_, dr(7), 0) == 0 &&
         (!enabled || (::ptrace(PTRACE_POKEUSER, pid_, dr(0), address) == 0 &&
                       ::ptrace(PTRACE_POKEUSER, pid_, dr(7), 1) == 0));
#else
  return false;
#endif
}

Stop Tracee::run_to(std::uintptr_t address, std::size_t hits) {
  if (!set_breakpoint(address, true)) return Stop::Overdue;
  Stop stop = Stop::Stepped;
  for (std::size_t i = 0; i < hits && stop == Stop::Stepped; ++i) stop = resume(PTRACE_CONT);
  if (alive_) set_breakpoint(address, false);
  return stop;
}

void Tracee::kill() {
  alarm_.reset();
  same_cpu_.reset();
  if (!alive_) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, &status_, 0) == pid_ && WIFSTOPPED(status_)) {
  }
  alive_ = false;
}

bool Tracee::kill_group() const { return ::kill(-pid_, SIGKILL) == 0; }

std::uintptr_t Tracee::where() const {
#if defined(__x86_64__)
  long pc = ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user, regs.rip), nullptr);
  return static_cast<std::uintptr_t>(pc);
#else
  return registers_of(pid_).pc;
#endif
}

bool Tracee::before_system_call() const { return is_system_call(pid_, where()); }

std::string Tracee::describe() const { return describe_process(pid_); }

std::string Tracee::error() const { return note_->error; }

}  // namespace procession::faults
