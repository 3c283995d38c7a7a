#include "pool/pool_fixture.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace procession::pool_test {

using test_support::Deadline;

bool eventually(const std::function<bool()>& condition) {
  const Deadline deadline(patience);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::sched_yield();
  }
  return true;
}

Watched::Watched(pid_t pid) : pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

Watched::Watched(Watched&& other) noexcept : pidfd_(std::exchange(other.pidfd_, -1)) {}

Watched::~Watched() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool Watched::ends() const {
  return pidfd_ < 0 || test_support::wait_readable(pidfd_, Deadline(patience));
}

bool Watched::has_ended() const {
  return pidfd_ < 0 || test_support::wait_readable(pidfd_, Deadline(0s));
}

void Watched::kill(int signal) const {
  if (pidfd_ >= 0) ::syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0);
}

std::vector<pid_t> worker_pids(const Pool& pool) {
  std::vector<pid_t> pids;
  for (const WorkerStats& worker : pool.stats().workers) {
    if (worker.pid > 0) pids.push_back(worker.pid);
  }
  return pids;
}

std::vector<Watched> watch_workers(const Pool& pool) {
  std::vector<Watched> watched;
  for (const pid_t pid : worker_pids(pool)) watched.emplace_back(pid);
  return watched;
}

std::chrono::nanoseconds time_of(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::steady_clock::now() - start;
}

int square(int x) { return x * x; }
int add(int x, int y) { return x + y; }
pid_t own_pid() { return ::getpid(); }
void die(int signal) { ::raise(signal); }

int held(int x, Value<pid_t> pid, Event running, Event gate) {
  pid.store(::getpid());
  return held(x, std::move(running), std::move(gate));
}

int held(int x, Event running, Event gate) {
  running.set();
  gate.wait();
  return x;
}

}  // namespace procession::pool_test
