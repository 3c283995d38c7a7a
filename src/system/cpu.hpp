// How many CPUs there are, how many may be used, and which.
//
// Any thread may call any function; none blocks.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace procession::detail {

// CPUs of the machine that are online; at least 1.
int cpu_count() noexcept;

// How many of them the calling thread may use: its affinity, and the CPU quotas of its cgroup and
// of all cgroups around that one, rounded up. At least 1.
int usable_cpu_count() noexcept;

// CPUs' worth of time per period that cgroups (v1 and v2) allow, rounded up, at least 1; none
// without a quota. `cgroups` is the text of /proc/self/cgroup, `mounts` that of
// /proc/self/mountinfo; files are looked for below `root`.
std::optional<int> cgroup_cpu_quota(std::string_view cgroups, std::string_view mounts,
                                    const std::string& root = "");

// The CPUs on which a thread (0: the calling one) may run, ascending. Throws SystemError.
std::vector<int> get_affinity(pid_t thread = 0);

// Restricts a thread (0: the calling one), and what it starts from then on, to `cpus`. An empty
// list or a negative number is std::invalid_argument. Throws SystemError (EINVAL) unless every
// CPU listed exists and is allowed; the thread is then restricted to those that are, if any.
void set_affinity(std::span<const int> cpus, pid_t thread = 0);

}  // namespace procession::detail
