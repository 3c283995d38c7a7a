// A forked process that waits for something while another one is killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>

namespace procession::faults {

// Not thread-safe; join() belongs to the thread that made it.
class Waiter {
 public:
  // Forks, and returns when `body` is entering its first system call that may sleep, or has
  // returned: what happens afterwards happens to a process that waits. Throws std::runtime_error
  // when neither comes true within `limit`.
  Waiter(const std::function<int()>& body, std::chrono::milliseconds limit);
  ~Waiter();  // kills
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Waits for its end: what `body` returned (0 to 255), or -N for signal N. Nothing when it was
  // still waiting at the limit; it is killed then.
  std::optional<int> join();

 private:
  [[noreturn]] static void run(const std::function<int()>& body);
  void run_until_it_waits();
  void note_end(int status);

  std::chrono::milliseconds limit_;
  pid_t pid_;
  std::optional<int> code_;
};

}  // namespace procession::faults
