// What the kernel alone needs for the life of a process.
#pragma once

namespace bench::floors {

// Seconds for `count` processes that are forked at once, leave at once and are waited for: fork()
// as this program has it, with the library's fork handlers.
double forks(int count = 1);

// The same for one process, without those handlers.
double bare_fork();

// Seconds for one posix_spawn of this binary, which leaves at the top of main, and its waitpid.
double spawn();

}  // namespace bench::floors
