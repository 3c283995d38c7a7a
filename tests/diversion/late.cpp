// A child that reaches the program's own code without having been diverted ends with a sentence
// as soon as it starts anything, and never forks on: here the root claims to divert, by a call that
// its children do not make.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "procession/errors.hpp"
#include "procession/main.hpp"
#include "procession/process.hpp"

namespace mp = procession;

int main() {
  const char* marked = std::getenv("LATE_CHILD");
  if (marked == nullptr) {
    setenv("LATE_CHILD", "1", 1);
    mp::divert_main();  // the root alone
  }
  mp::Process process([] {});
  try {
    process.start();
  } catch (const mp::SystemError& error) {
    // The fork server has ended with its sentence before it was ready.
    return marked == nullptr && error.phase() == "fork server" ? 0 : 2;
  }
  return 3;
}
