// Start a process, and wait for its end.
//
//   hello from Process-1, started by MainProcess
//   Process-1 ended with 0
#include <iostream>
#include <procession/procession.hpp>

namespace mp = procession;

void greet(std::string greeting) {
  std::cout << greeting << " from " << mp::current_process().name() << ", started by "
            << mp::parent_process()->name() << '\n';
}

int main() {
  mp::Process process(greet, "hello");
  process.start();
  process.join();
  std::cout << process.name() << " ended with " << *process.exitcode() << '\n';
}
