// Several threads of one program start, watch and rename processes.
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessThreadsEach : public EachMethod {};
FOR_EACH_START_METHOD(ProcessThreadsEach);

constexpr int rounds = test_support::under_tsan || test_support::under_asan ? 10 : 40;

// Calls `often` again and again in a thread of its own, while `work` runs here.
template <class Often, class Work>
void beside(Often often, Work work) {
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done.load()) often();
  });
  work();
  done.store(true);
  other.join();
}

TEST_P(ProcessThreadsEach, AskForActiveChildrenWhileAnotherStartsThem) {
  beside([] { (void)active_children(); },
         [this] {
           for (int round = 0; round < rounds; ++round) {
             Process process(options(), [] {});
             EXPECT_EQ(run(process), 0);
           }
         });
}

TEST(ProcessThreads, ANameIsReadWhileItIsChanged) {
  Process process([] {});
  const std::string first = process.name();
  const std::string second = "a name that is longer than what a string keeps inside of itself";
  beside(
      [&] {
        const std::string name = process.name();
        EXPECT_TRUE(name == first || name == second) << name;
      },
      [&] {
        for (int round = 0; round < 50 * rounds; ++round) {
          process.set_name(round % 2 == 0 ? second : first);
          process.set_daemon(round % 2 == 0);
        }
      });
}

// Each start asks what the server can resolve; after the death of one it is another's answer.
TEST(ProcessThreads, StartWhileTheForkServerIsKilled) {
  const auto start_some = [] {
    try {
      Process process([] {});
      process.start();
      process.join();
    } catch (const SystemError&) {  // killed twice during one start
    }
  };
  beside(start_some, [&] {
    for (int round = 0; round < rounds; ++round) {
      start_some();
      for (const pid_t pid : detail::service_processes()) ::kill(pid, SIGKILL);
    }
  });
}

}  // namespace
}  // namespace procession::process_test
