// Four processes print piece by piece. The lock keeps each line whole.
//
//   Process-1 counts: 1 2 3 4 5
//   Process-3 counts: 1 2 3 4 5
//   Process-2 counts: 1 2 3 4 5
//   Process-4 counts: 1 2 3 4 5
#include <iostream>
#include <mutex>
#include <procession/procession.hpp>
#include <vector>

namespace mp = procession;

int main() {
  mp::Lock lock;
  const auto count = [lock] {
    std::scoped_lock guard(lock);
    std::cout << mp::current_process().name() << " counts:" << std::flush;
    for (int i = 1; i <= 5; ++i) std::cout << ' ' << i << std::flush;
    std::cout << std::endl;
  };
  std::vector<mp::Process> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back(count).start();
  for (mp::Process& process : processes) process.join();
}
