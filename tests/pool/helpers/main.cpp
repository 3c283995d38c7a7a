// pool_helper SCENARIO: a program with a pool, to be interrupted or killed as a whole.
//
// Writes the pid of every worker and then "ready", one a line, and waits to be ended.

#include <unistd.h>

#include <cstdio>
#include <ranges>
#include <string>

#include "procession/event.hpp"
#include "procession/pool.hpp"
#include "procession/value.hpp"

namespace {

void announce(const procession::Pool& pool) {
  for (const auto& worker : pool.stats().workers) std::printf("%d\n", worker.pid);
  std::printf("ready\n");
  std::fflush(stdout);
}

void wait_for_the_end() {
  for (;;) ::pause();
}

// Workers that wait for work.
void idle() {
  procession::Pool pool(3);
  pool.map([](int x) { return x; }, {1, 2, 3, 4, 5, 6}, 1);
  announce(pool);
  wait_for_the_end();
}

// Every worker in a task that does not end; the parent waits for the results.
void mapping() {
  procession::Pool pool(3);
  procession::Value<int> begun(0);
  procession::Event all, never;
  auto later = pool.map_async(
      [begun, all, never](int) {
        if (begun.fetch_add(1) == 2) all.set();
        never.wait();
      },
      std::views::iota(0, 100), 1);
  all.wait();
  announce(pool);
  later.get();
}

// Many short tasks, all the time.
void streaming() {
  procession::Pool pool(3);
  int count = 0;
  for (int x : pool.imap_unordered([](int x) { return x; }, std::views::iota(0))) {
    (void)x;
    if (++count == 1000) announce(pool);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string scenario = argc > 1 ? argv[1] : "";
  if (scenario == "idle") idle();
  if (scenario == "mapping") mapping();
  if (scenario == "streaming") streaming();
  std::fprintf(stderr, "pool_helper: no such scenario\n");
  return 2;
}
