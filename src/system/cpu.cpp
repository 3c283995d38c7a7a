#include "system/cpu.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "system/errors.hpp"

namespace procession::detail {
namespace {

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};

// A CPU_SET of any size; fixed ones end at CPU 1023.
struct CpuSet {
  explicit CpuSet(int cpus)
      : bytes(CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus))),
        bits(CPU_ALLOC(static_cast<std::size_t>(cpus))) {
    if (bits == nullptr) throw std::bad_alloc();
    CPU_ZERO_S(bytes, bits.get());
  }
  std::size_t bytes;
  std::unique_ptr<cpu_set_t, FreeCpuSet> bits;
};

constexpr int most_cpus = 1 << 20;  // far beyond any kernel; ends the search for the right size

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

}  // namespace

int cpu_count() noexcept { return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))); }

int usable_cpu_count() noexcept try {
  const int allowed = static_cast<int>(get_affinity().size());
  const auto quota =
      cgroup_cpu_quota(read_text("/proc/self/cgroup"), read_text("/proc/self/mountinfo"));
  return std::max(1, quota ? std::min(*quota, allowed) : allowed);
} catch (...) {
  return cpu_count();  // a sandbox that answers neither question sets no limit that we could keep
}

std::vector<int> get_affinity(pid_t thread) {
  // EINVAL: the kernel's own set is larger than ours.
  for (int size = 1024; size <= most_cpus; size *= 2) {
    CpuSet set(size);
    if (::sched_getaffinity(thread, set.bytes, set.bits.get()) != 0) {
      if (errno == EINVAL) continue;
      throw_system_error(errno, "read the CPU affinity of thread " + std::to_string(thread));
    }
    std::vector<int> cpus;
    for (int cpu = 0; cpu < size; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), set.bytes, set.bits.get())) {
        cpus.push_back(cpu);
      }
    }
    return cpus;
  }
  throw_system_error(EINVAL, "read the CPU affinity of thread " + std::to_string(thread));
}

void set_affinity(std::span<const int> cpus, pid_t thread) {
  if (cpus.empty()) throw std::invalid_argument("the list of CPUs to run on is empty");
  const auto [lowest, highest] = std::minmax_element(cpus.begin(), cpus.end());
  if (*lowest < 0) {
    throw std::invalid_argument("there is no CPU " + std::to_string(*lowest) + " to run on");
  }
  const std::string doing =
      "restrict a thread to CPUs " + std::to_string(*lowest) + " to " + std::to_string(*highest);
  if (*highest >= most_cpus) throw_system_error(EINVAL, doing);
  CpuSet set(*highest + 1);
  for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), set.bytes, set.bits.get());
  if (::sched_setaffinity(thread, set.bytes, set.bits.get()) != 0) {
    throw_system_error(errno, doing);
  }
  // The kernel drops without a word what does not exist or is not allowed.
  const std::vector<int> granted = get_affinity(thread);
  for (const int cpu : cpus) {
    if (!std::binary_search(granted.begin(), granted.end(), cpu)) throw_system_error(EINVAL, doing);
  }
}

}  // namespace procession::detail
