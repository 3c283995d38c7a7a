// oneTBB, the thread pool to be as fast as: two threads of one process, which one crash ends.
#pragma once

#include <cstddef>

namespace bench::peers {

// False where the bench was built without it; the others must not be called then.
bool have_tbb();

// Tasks per second: `count` tiny tasks into a task_group of two threads, then all results read.
double tbb_tiny_tasks(std::size_t count);

// Items per second of a parallel_for over `items` items of `rounds` rounds of work each.
double tbb_work(std::size_t items, unsigned rounds);

}  // namespace bench::peers
