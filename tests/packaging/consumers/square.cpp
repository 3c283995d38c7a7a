// The smallest program that is worth something: a pool and a process.
#include <cstdlib>
#include <iostream>
#include <procession/procession.hpp>

namespace mp = procession;

int square(int x) { return x * x; }

int main() {
  int sum = 0;
  {
    mp::Pool pool(2);
    for (int y : pool.map(square, {1, 2, 3, 4, 5})) sum += y;
  }
  mp::Process child([](int code) { std::exit(code); }, 7);
  child.start();
  child.join();
  std::cout << sum << ' ' << child.exitcode().value_or(-1) << '\n';
  return sum == 55 && child.exitcode() == 7 ? 0 : 1;
}
