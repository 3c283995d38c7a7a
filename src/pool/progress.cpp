#include "procession/detail/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace procession::detail {
namespace {

void write_to_terminal(const std::string& text) {
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

// Hours only where there are any: 1:02:03, 2:03.
std::string clock_text(double seconds) {
  const auto all = static_cast<unsigned long>(std::lround(std::min(seconds, 1e9)));
  char text[48];
  if (all >= 3600) {
    std::snprintf(text, sizeof text, "%lu:%02lu:%02lu", all / 3600, all / 60 % 60, all % 60);
  } else {
    std::snprintf(text, sizeof text, "%lu:%02lu", all / 60, all % 60);
  }
  return text;
}

}  // namespace

Progress::Progress(bool wanted, std::size_t all)
    : shown_(wanted && isatty(STDERR_FILENO) != 0), all_(all) {}

Progress::~Progress() {
  if (drawn_) write_to_terminal("\r\x1b[K");
}

std::string Progress::text(std::size_t done, std::size_t all, std::chrono::nanoseconds elapsed) {
  constexpr std::size_t width = 40;
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line;
  if (all != 0) {
    const std::size_t filled = std::min(done, all) * width / all;
    line = "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] ";
  }
  line += std::to_string(done);
  if (all != 0) line += "/" + std::to_string(all);
  char rate_text[48];
  std::snprintf(rate_text, sizeof rate_text, rate < 10 ? ", %.1f per second" : ", %.0f per second",
                rate);
  line += rate_text;
  if (all > done && rate > 0) {
    line += ", " + clock_text(static_cast<double>(all - done) / rate) + " left";
  }
  return line;
}

void Progress::draw(std::size_t done) {
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + pause;
  write_to_terminal("\r" + text(done, all_, now - begun_) + "\x1b[K");
  drawn_ = true;
}

}  // namespace procession::detail
