// Raw children, pipes and deadlines for tests. Nothing here uses the library.
//
// Example:
//   Pipe ready;
//   Child child = start_child([&] { ready.send('x'); pause(); });
//   ASSERT_EQ(ready.receive<char>(), 'x');        // it runs
//   child.kill();
//   EXPECT_EQ(child.wait().signal, SIGKILL);
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>

namespace procession::test_support {

// A point of the monotonic clock. In tests it only bounds how long a failure takes to be seen.
class Deadline {
 public:
  explicit Deadline(std::chrono::nanoseconds from_now)
      : end_(std::chrono::steady_clock::now() + from_now) {}
  std::chrono::nanoseconds remaining() const;  // never negative
  bool passed() const { return remaining().count() == 0; }

 private:
  std::chrono::steady_clock::time_point end_;
};

// Waits until `descriptor` reports one of `events`, an error or a hang-up; false at the deadline.
bool wait_for(int descriptor, short events, const Deadline& deadline);
inline bool wait_readable(int descriptor, const Deadline& deadline) {
  return wait_for(descriptor, POLLIN, deadline);
}

// How a child ended: `code` if it exited, `signal` if it was killed; the other is -1 or 0.
struct ChildStatus {
  int code = -1;
  int signal = 0;
  bool operator==(const ChildStatus&) const = default;
};

// What a child of start_child() exits with when its function threw, or when an EXPECT in it failed.
inline constexpr int child_threw = 111;
inline constexpr int child_failed = 112;

// A child of this process. Move-only; the destructor kills it and reaps it. One thread at a time.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  void kill(int signal = 9) const;
  ChildStatus wait();  // blocks until it has ended; once
  std::optional<ChildStatus> wait(const Deadline& deadline);

 private:
  pid_t pid_;  // 0: waited for, or moved from
};

// Forks; the child runs `body` and ends by _exit: 0, child_threw or child_failed.
[[nodiscard]] Child start_child(const std::function<void()>& body);
// The same, and waits.
ChildStatus run_child(const std::function<void()>& body);

// Ends the calling process by `signal`, with its default action and without a core file.
[[noreturn]] void die_by(int signal);

// A pipe. Each process closes the end that it does not use, when it wants to see the other's end.
class Pipe {
 public:
  Pipe();
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_read();
  void close_write();

  template <class T>
  void send(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    write_all(&value, sizeof value);
  }
  // Blocks; none once every write end is closed.
  template <class T>
  std::optional<T> receive() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (!read_all(&value, sizeof value)) return std::nullopt;
    return value;
  }

 private:
  void write_all(const void* data, std::size_t bytes);
  bool read_all(void* data, std::size_t bytes);
  int ends_[2];
};

}  // namespace procession::test_support
