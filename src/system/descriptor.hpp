// Owner of a file descriptor.
//
// Move-only; closes what it owns. Not thread-safe, as an int is not. Never blocks beyond close(2).
#pragma once

#include <unistd.h>

#include <utility>

namespace procession::detail {

// The same open file under a number above the standard ones, which belong to the program even where
// they are closed; close-on-exec. Owns `fd`; returns it as it is where it is high enough already.
[[nodiscard]] int above_standard(int fd) noexcept;

class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

  // Gives the descriptor up without closing it; -1 if there is none.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  // Closes the old one and owns `fd`. errno is kept, so that this may run between a failed call
  // and its report. close is not repeated after EINTR: Linux has freed the number by then.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace procession::detail
