// Three rivals want one lock, and none waits for it longer than two seconds. Who has it keeps it
// for a second and a half, so that the third gives up.
//
//   first has the lock
//   second has the lock
//   third has waited long enough
#include <chrono>
#include <iostream>
#include <procession/procession.hpp>
#include <thread>
#include <vector>

namespace mp = procession;
using namespace std::chrono_literals;

int main() {
  mp::Lock lock;
  const auto compete = [lock] {
    const std::string name = mp::current_process().name();
    if (!lock.acquire(2s)) {
      std::cout << name << " has waited long enough\n";
      return;
    }
    std::cout << name << " has the lock" << std::endl;
    std::this_thread::sleep_for(1500ms);
    lock.release();
  };
  std::vector<mp::Process> rivals;
  for (const char* name : {"first", "second", "third"}) {
    rivals.emplace_back(mp::ProcessOptions{.name = name}, compete).start();
  }
  for (mp::Process& rival : rivals) rival.join();
}
