// For programs whose main() the build cannot wrap.
//
// Fork server and spawned processes are the program's own binary, executed again. The CMake
// target and the pkg-config file wrap main() at link time, so that such a process never reaches
// it. A program that is linked otherwise says so itself:
//
//   int main() {
//     mp::divert_main();                         // first of all; does not return in a child
//     ...
//   }
#pragma once

namespace procession {

// In a process that the library executed: runs what it was made for and exits. In any other:
// notes that children will be diverted, and returns. Call it once, before any thread exists.
void divert_main();

}  // namespace procession
