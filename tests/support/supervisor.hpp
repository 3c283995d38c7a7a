// A process above the test program that adopts what the test's children leave behind.
//
// Orphans of a test go to it and not to init, so that they can be found; those that have ended are
// reaped at once, as init would do. When the program has ended it waits a moment for what is still
// ending, and fails the run if something stays. The program's temporary files go to a folder of
// its own (TMPDIR, testing::TempDir()), which the supervisor makes and removes.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace procession::test_support {

// Call first in main(). In the original process: starts the program again below itself, waits, and
// exits with its status. In the program itself: returns.
// Nothing is supervised under a debugger, for --gtest_list_tests, or with
// PROCESSION_TEST_UNSUPERVISED in the environment; orphans are not seen then.
void run_supervised(int argc, char** argv);

// The supervisor of this program, 0 if there is none.
pid_t supervisor_pid();

// The folder for temporary files that is this program's alone; empty without a supervisor.
std::string temporary_folder();
inline constexpr std::string_view temporary_folder_prefix = "procession-test-tmp-";

}  // namespace procession::test_support
