// What the kernel says a process holds.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace bench {

std::size_t threads_of(pid_t pid);
std::size_t descriptors_of(pid_t pid);
// Private and shared memory that is present, in bytes (VmRSS).
std::size_t resident_bytes(pid_t pid);
// Memory that the family of this process has touched: the blocks behind its memfd. 0: none found.
std::size_t family_bytes();
// This process and all its descendants.
std::vector<pid_t> process_tree();

}  // namespace bench
