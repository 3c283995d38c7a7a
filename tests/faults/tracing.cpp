#include "tracing.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace procession::faults {

namespace {

constexpr bool sanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

// A timer signal that neither the library nor a test has a use for.
int alarm_signal() { return SIGRTMAX - 2; }

void write_backtrace() {
  void* frames[64];
  int count = ::backtrace(frames, 64);
  ::backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

// A trial run: what the kernel refuses, it refuses here.
std::optional<std::string> probe() {
  pid_t child = ::fork();
  if (child < 0) return std::string("fork failed: ") + std::strerror(errno);
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(errno);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  if (WIFEXITED(status)) {
    return std::string("ptrace is not allowed here: ") + std::strerror(WEXITSTATUS(status));
  }
  bool steps = ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0;
  int error = errno;
  if (steps) ::waitpid(child, &status, 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  if (steps) return std::nullopt;
  return std::string("single-stepping is not allowed here: ") + std::strerror(error);
}

}  // namespace

std::optional<std::string> cannot_trace() {
  if (sanitized) return "a sanitized build: its own checks would be stepped, not the library";
  static const std::optional<std::string> reason = probe();
  return reason;
}

Registers registers_of(pid_t pid) {
  user_regs_struct all{};
  iovec out{&all, sizeof(all)};
  ::ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &out);
#if defined(__x86_64__)
  return {all.rip, all.rsp, static_cast<long>(all.rax), static_cast<long>(all.orig_rax)};
#elif defined(__aarch64__)
  return {all.pc, all.sp, static_cast<long>(all.regs[0]), static_cast<long>(all.regs[8])};
#else
#error "the fault harness knows the registers of x86-64 and arm64 only"
#endif
}

std::uintptr_t word_at(pid_t pid, std::uintptr_t address) {
  errno = 0;
  long word = ::ptrace(PTRACE_PEEKDATA, pid, address, nullptr);
  return errno == 0 ? static_cast<std::uintptr_t>(word) : 0;
}

bool is_system_call(pid_t pid, std::uintptr_t pc) {
#if defined(__x86_64__)
  return (word_at(pid, pc) & 0xffff) == 0x050f;
#else
  return (word_at(pid, pc) & 0xffffffff) == 0xd4000001;
#endif
}

bool follows_system_call(pid_t pid, std::uintptr_t pc) {
#if defined(__x86_64__)
  return is_system_call(pid, pc - 2);
#else
  return is_system_call(pid, pc - 4);
#endif
}

std::string describe_address(std::uintptr_t address) {
  Dl_info info{};
  char text[512];
  if (::dladdr(reinterpret_cast<void*>(address), &info) == 0 || info.dli_fname == nullptr) {
    std::snprintf(text, sizeof(text), "0x%zx", static_cast<std::size_t>(address));
    return text;
  }
  const char* slash = std::strrchr(info.dli_fname, '/');
  std::size_t offset = address - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  std::snprintf(text, sizeof(text), "%s+0x%zx%s%s%s", slash != nullptr ? slash + 1 : info.dli_fname,
                offset, info.dli_sname != nullptr ? " (" : "",
                info.dli_sname != nullptr ? info.dli_sname : "",
                info.dli_sname != nullptr ? ")" : "");
  return text;
}

std::string describe_process(pid_t pid) {
  Registers at = registers_of(pid);
  std::string text = "at " + describe_address(at.pc);
  if (follows_system_call(pid, at.pc)) text += " in system call " + std::to_string(at.system_call);
  text += "; return addresses on its stack:";
  int found = 0;
  for (std::size_t i = 0; i < 256 && found < 8; ++i) {
    std::uintptr_t word = word_at(pid, at.sp + i * sizeof(void*));
    Dl_info info{};
    if (word == 0 || ::dladdr(reinterpret_cast<void*>(word), &info) == 0) continue;
    text += ' ' + describe_address(word);
    ++found;
  }
  return text;
}

Alarm::Alarm(std::chrono::milliseconds limit, pid_t pid, int signal, std::string sentence)
    : pid_(pid), signal_(signal), sentence_(std::move(sentence)) {
  struct sigaction action {};
  action.sa_sigaction = &Alarm::ring;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(alarm_signal(), &action, nullptr);

  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = alarm_signal();
  event.sigev_value.sival_ptr = this;
  event.sigev_notify_thread_id = ::gettid();
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
    throw std::system_error(errno, std::generic_category(), "timer_create");
  }
  itimerspec time{};
  time.it_value.tv_sec = limit.count() / 1000;
  time.it_value.tv_nsec = limit.count() % 1000 * 1'000'000;
  time.it_interval = time.it_value;
  ::timer_settime(timer_, 0, &time, nullptr);
}

// A ring that is still pending is delivered on the way out of timer_delete, while *this exists.
Alarm::~Alarm() { ::timer_delete(timer_); }

void Alarm::ring(int, siginfo_t* info, void*) {
  auto* self = static_cast<Alarm*>(info->si_value.sival_ptr);
  if (info->si_code != SI_TIMER || self == nullptr) return;
  if (self->pid_ > 0) {
    int error = errno;
    ::kill(self->pid_, self->signal_);
    errno = error;
    return;
  }
  [[maybe_unused]] ssize_t written =
      ::write(STDERR_FILENO, self->sentence_.data(), self->sentence_.size());
  write_backtrace();
  ::signal(SIGABRT, SIG_DFL);  // one backtrace is enough
  ::abort();
}

namespace {

pid_t noted_process = 0;
char note[512];

}  // namespace

CrashNote::CrashNote() {
  noted_process = ::getpid();
  struct sigaction action {};
  action.sa_handler = &CrashNote::report;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before_[i]);
}

CrashNote::~CrashNote() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
}

void CrashNote::set(const std::string& sentence) {
  std::snprintf(note, sizeof(note), "%s: this process crashed during or after the trial\n",
                sentence.c_str());
}

// Returns to the faulting instruction, which ends the process the usual way. The children of the
// trials inherit the handler, and have nothing to say.
void CrashNote::report(int) {
  if (::getpid() != noted_process) return;
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, note, std::strlen(note));
  write_backtrace();
}

}  // namespace procession::faults
