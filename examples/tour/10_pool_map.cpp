// A function over a list, by four processes.
//
//   1 4 9 16 25
#include <iostream>
#include <procession/procession.hpp>

namespace mp = procession;

int square(int x) { return x * x; }

int main() {
  mp::Pool pool(4);
  for (int y : pool.map(square, {1, 2, 3, 4, 5})) std::cout << y << ' ';
  std::cout << '\n';
}
