// divert_main() does by a call what the wrapped main does at link time.
#include <cstdlib>

#include "procession/main.hpp"
#include "procession/process.hpp"

namespace mp = procession;

int main() {
  mp::divert_main();
  for (const auto method : mp::get_all_start_methods()) {
    mp::Process process(
        {.start_method = method}, [](int n) { std::exit(n); }, 9);
    process.start();
    process.join();
    if (process.exitcode() != 9) return 1;
  }
  return 0;
}
