#include "work.hpp"

#include <cstdlib>
#include <procession/procession.hpp>

int exit_code_of_a_process(int code) {
  procession::Process child([](int status) { std::exit(status); }, code);
  child.start();
  child.join();
  return child.exitcode().value_or(-1);
}
