// The progress bar of one map-like call: a line on stderr, drawn again ten times a second at most,
// and removed at the end.
//
//   [##########..............................] 250/1000, 99 per second, 0:07 left
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace procession::detail {

// Not thread-safe.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds pause{100};

  // Does nothing unless it is `wanted` and stderr is a terminal. `all` 0: nobody knows how many.
  Progress(bool wanted, std::size_t all);
  ~Progress();  // removes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  [[nodiscard]] bool shown() const noexcept { return shown_; }
  void show(std::size_t done) {
    if (shown_) draw(done);
  }

  // The line, without the return to its beginning.
  static std::string text(std::size_t done, std::size_t all, std::chrono::nanoseconds elapsed);

 private:
  void draw(std::size_t done);
  bool shown_;
  std::size_t all_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point next_ = begun_ + pause;
  bool drawn_ = false;
};

}  // namespace procession::detail
