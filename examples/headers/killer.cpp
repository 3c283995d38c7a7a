#include "killer.hpp"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <utility>

namespace headers {

Killer::Killer(std::function<std::vector<pid_t>()> victims, std::chrono::milliseconds period)
    : victims_(std::move(victims)),
      thread_([this, period](std::stop_token stopped) { run(std::move(stopped), period); }) {}

Killer::~Killer() { stop(); }

std::size_t Killer::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  return killed_.size();
}

void Killer::run(std::stop_token stopped, std::chrono::milliseconds period) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  auto next = std::chrono::steady_clock::now() + period;
  while (!stopped.stop_requested()) {
    wake.wait_until(lock, stopped, next, [] { return false; });
    if (stopped.stop_requested()) return;
    kill_one();
    next += period;
  }
}

void Killer::kill_one() {
  std::vector<pid_t> pids = victims_();
  std::erase_if(pids, [this](pid_t pid) { return pid <= 0 || killed_.contains(pid); });
  if (pids.empty()) return;
  const pid_t pid = pids[std::uniform_int_distribution<std::size_t>(0, pids.size() - 1)(random_)];
  if (::kill(pid, SIGKILL) == 0) killed_.insert(pid);
}

}  // namespace headers
