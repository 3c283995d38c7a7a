// Durations of the caller as points of the monotonic clock.
#pragma once

#include <chrono>

namespace procession::detail {

using TimePoint = std::chrono::steady_clock::time_point;

// When `duration` from now is over. Below zero (and a floating-point NaN) counts as zero; what the
// clock cannot express is TimePoint::max(), which is for ever.
template <class Rep, class Period>
[[nodiscard]] TimePoint deadline_after(const std::chrono::duration<Rep, Period>& duration) {
  using Seconds = std::chrono::duration<long double>;
  const TimePoint now = TimePoint::clock::now();
  if (!(duration > duration.zero())) return now;
  if (Seconds(duration) >= Seconds(TimePoint::max() - now)) return TimePoint::max();
  return now + std::chrono::ceil<TimePoint::duration>(duration);
}

// The same for a point of any clock. What that clock does later changes nothing.
template <class Clock, class Duration>
[[nodiscard]] TimePoint deadline_at(const std::chrono::time_point<Clock, Duration>& time) {
  using Seconds = std::chrono::duration<long double>;
  // A difference of integers could overflow; times as far away as that are only ever "for ever".
  if (Seconds(time.time_since_epoch()) > Seconds(Clock::duration::max())) return TimePoint::max();
  const Seconds left = Seconds(time.time_since_epoch()) - Seconds(Clock::now().time_since_epoch());
  if (left > Seconds(std::chrono::hours(24 * 365))) return deadline_after(left);
  return left > Seconds::zero() ? deadline_after(time - Clock::now()) : TimePoint::clock::now();
}

}  // namespace procession::detail
