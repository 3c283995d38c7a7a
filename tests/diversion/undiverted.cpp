// A program that can not divert its children is told so by start(), and Fork still works.
#include <cstdio>
#include <string>

#include "procession/errors.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"

namespace mp = procession;

template <class Start>
bool refused(Start start) {
  try {
    start();
  } catch (const mp::StateError& error) {
    std::puts(error.what());
    return std::string(error.what()).find("divert_main") != std::string::npos;
  }
  return false;
}

int main() {
  for (const auto method : {mp::StartMethod::ForkServer, mp::StartMethod::Spawn}) {
    mp::Process process({.start_method = method}, [] {});
    if (!refused([&] { process.start(); })) return 1;
    if (process.pid() != 0) return 2;
  }
  if (!refused([] { mp::Pool pool(1); })) return 3;
  mp::Process forked({.start_method = mp::StartMethod::Fork}, [] { std::exit(7); });
  forked.start();
  forked.join();
  return forked.exitcode() == 7 ? 0 : 4;
}
