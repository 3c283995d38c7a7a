// The life of a process, as the kernel sees it. Two processes share one processor here, so that
// each is at times ready to run and not running.
//
//   not started: New
//   computing:   Running, Ready
//   stopped:     Blocked
//   killed:      Terminated, exit code -9
#include <array>
#include <csignal>
#include <iostream>
#include <procession/procession.hpp>

namespace mp = procession;

const char* text(mp::ProcessState state) {
  return std::array{"New", "Ready", "Running", "Blocked", "Terminated"}[static_cast<int>(state)];
}

void compute() {
  for (volatile unsigned long n = 0;;) n = n + 1;
}

void wait_for(const mp::Process& process, mp::ProcessState wanted) {
  while (process.state() != wanted) {
  }
  std::cout << text(wanted);
}

int main() {
  const mp::ProcessOptions same_processor{.daemon = true, .cpus = {0}};
  mp::Process process(same_processor, compute), rival(same_processor, compute);
  std::cout << "not started: " << text(process.state());

  process.start();
  rival.start();
  std::cout << "\ncomputing:   ";
  wait_for(process, mp::ProcessState::Running);
  std::cout << ", ";
  wait_for(process, mp::ProcessState::Ready);

  process.send_signal(SIGSTOP);
  std::cout << "\nstopped:     ";
  wait_for(process, mp::ProcessState::Blocked);

  process.kill();
  std::cout << "\nkilled:      ";
  wait_for(process, mp::ProcessState::Terminated);
  std::cout << ", exit code " << *process.exitcode() << '\n';
}
