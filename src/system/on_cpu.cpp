#include "system/on_cpu.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace procession::detail {

std::optional<bool> on_cpu(pid_t thread) noexcept {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.exclude_kernel = 1;  // permitted for one's own processes
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_RUNNING;
  const auto event = static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
  if (event < 0) return std::nullopt;
  // Value and time, in that order.
  std::array<std::uint64_t, 2> first{}, second{};
  const bool read_both = read(event, first.data(), sizeof first) == sizeof first &&
                         read(event, second.data(), sizeof second) == sizeof second;
  close(event);
  if (!read_both) return std::nullopt;
  return second[1] > first[1];
}

}  // namespace procession::detail
