// Give a pool a task, do something else until its result is ready, get it.
//
//   waiting
//   waiting
//   waiting
//   the answer is 42
#include <chrono>
#include <iostream>
#include <procession/procession.hpp>
#include <thread>

namespace mp = procession;
using namespace std::chrono_literals;

int think(int a, int b) {
  std::this_thread::sleep_for(500ms);
  return a * b;
}

int main() {
  mp::Pool pool(2);
  auto answer = pool.apply_async(think, 6, 7);
  while (!answer.ready()) {
    std::cout << "waiting" << std::endl;
    std::this_thread::sleep_for(200ms);
  }
  std::cout << "the answer is " << answer.get() << '\n';
}
