// What the kernel alone needs for the life of a process.
#pragma once

namespace bench::floors {

// Seconds for `count` processes that are forked at once, leave at once and are waited for. The
// library's own fork handlers are not run.
double forks(int count = 1);

// Seconds for one posix_spawn of this binary, which leaves at the top of main, and its waitpid.
double spawn();

}  // namespace bench::floors
