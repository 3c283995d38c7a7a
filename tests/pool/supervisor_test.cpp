// The thread that watches workers, by itself.
#include "pool/supervisor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

using detail::Supervisor;

// The last watch of one caller ends the thread, while another caller begins to need it.
TEST(PoolSupervisor, EndsForOneCallerWhileAnotherBegins) {
  constexpr int rounds = 2000;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([] {
      Supervisor& supervisor = Supervisor::instance();
      const int event = ::eventfd(0, EFD_CLOEXEC);
      for (int round = 0; round < rounds; ++round) {
        supervisor.forget(supervisor.watch(event, [] {}));
      }
      ::close(event);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace procession::pool_test
