// Name three processes, look now and then whether they are alive, join them.
//
//   running: short middle long
//   short is done
//   running: middle long
//   middle is done
//   running: long
//   long is done
//   all have ended
#include <chrono>
#include <iostream>
#include <procession/procession.hpp>
#include <thread>
#include <vector>

namespace mp = procession;
using namespace std::chrono_literals;

void work(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
  std::cout << mp::current_process().name() << " is done\n";
}

int main() {
  std::vector<mp::Process> processes;
  processes.emplace_back(mp::ProcessOptions{.name = "short"}, work, 150ms);
  processes.emplace_back(mp::ProcessOptions{.name = "middle"}, work, 450ms);
  processes.emplace_back(mp::ProcessOptions{.name = "long"}, work, 750ms);
  for (mp::Process& process : processes) process.start();

  while (!mp::active_children().empty()) {
    std::cout << "running:";
    for (const mp::Process& process : processes) {
      if (process.is_alive()) std::cout << ' ' << process.name();
    }
    std::cout << std::endl;
    std::this_thread::sleep_for(300ms);
  }
  for (mp::Process& process : processes) process.join();
  std::cout << "all have ended\n";
}
