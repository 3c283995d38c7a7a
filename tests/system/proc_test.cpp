#include "system/proc.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "system/cpu.hpp"
#include "system_test.hpp"

namespace procession::detail {
namespace {

using namespace std::chrono_literals;
using ProcTest = SystemTest;

int global_variable = 1;

[[noreturn]] void spin() {
  for (std::atomic<int> turns = 0;; ++turns) continue;
}

// Restores this thread's affinity at the end of the scope.
struct KeepAffinity {
  std::vector<int> cpus = get_affinity();
  ~KeepAffinity() { set_affinity(cpus); }
};

TEST_F(ProcTest, StatOfAProgramWhoseNameHasSpacesAndParentheses) {
  Bytes bytes;
  Bytes ready;
  const std::uint64_t before = ticks_since_boot();
  TestChild child([&] {
    ::prctl(PR_SET_NAME, "a) R (b) S 1");
    ready.send();
    return bytes.receive();
  });
  ready.receive();
  child.signal(SIGSTOP);
  child.wait_stopped();
  const auto stat = read_stat(child.pid());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'T');
  EXPECT_EQ(stat->parent, ::getpid());
  EXPECT_EQ(stat->num_threads, test_support::under_tsan ? 2 : 1);  // TSan adds one of its own
  EXPECT_GE(stat->start_time, read_stat(::getpid())->start_time);
  EXPECT_GE(stat->start_time, before);
  EXPECT_LE(stat->start_time, ticks_since_boot());
}

TEST_F(ProcTest, NoSuchProcessHasNoStatAndIsTerminated) {
  TestChild child([] { return 0; });
  child.finish();
  EXPECT_FALSE(read_stat(child.pid()));
  EXPECT_EQ(observe_state(child.pid()), ProcessState::Terminated);
  EXPECT_EQ(observe_usage(child.pid()).peak_memory, 0U);
}

TEST_F(ProcTest, AZombieIsTerminated) {
  TestChild child([] { return 0; });
  child.wait_ended();
  EXPECT_EQ(observe_state(child.pid()), ProcessState::Terminated);
}

TEST_F(ProcTest, TheCallerIsRunning) {
  EXPECT_EQ(observe_state(::getpid()), ProcessState::Running);
}

TEST_F(ProcTest, AStoppedProcessIsBlockedNotTerminated) {
  TestChild child([] {
    spin();
    return 0;
  });
  child.signal(SIGSTOP);
  child.wait_stopped();
  EXPECT_EQ(observe_state(child.pid()), ProcessState::Blocked);
}

TEST_F(ProcTest, ASpinningProcessThatWaitsForOurCpuIsReady) {
  KeepAffinity keep;
  set_affinity(std::vector<int>{keep.cpus.front()});
  Bytes ready;
  TestChild child([&] {
    ready.send();
    spin();
    return 0;
  });
  ready.receive();
  // While we look we are on that CPU; only a switch in the middle of a look can show it running.
  int seen_ready = 0;
  for (int i = 0; i < 100; ++i) {
    const ProcessState state = observe_state(child.pid());
    EXPECT_TRUE(state == ProcessState::Ready || state == ProcessState::Running);
    if (state == ProcessState::Ready) ++seen_ready;
  }
  EXPECT_GT(seen_ready, 50);
}

TEST_F(ProcTest, ASpinningProcessOnAnotherCpuIsRunning) {
  KeepAffinity keep;
  if (keep.cpus.size() < 2) GTEST_SKIP() << "one CPU: what is looked at is never on it";
  Bytes ready;
  TestChild child([&] {
    set_affinity(std::vector<int>{keep.cpus.back()});
    ready.send();
    spin();
    return 0;
  });
  set_affinity(std::vector<int>{keep.cpus.front()});
  ready.receive();
  // Others may want that CPU as well; for this many looks in a row they will not have it.
  bool seen_running = false;
  for (int i = 0; i < 100'000 && !seen_running; ++i) {
    const ProcessState state = observe_state(child.pid());
    ASSERT_TRUE(state == ProcessState::Ready || state == ProcessState::Running);
    seen_running = state == ProcessState::Running;
  }
  EXPECT_TRUE(seen_running);
}

TEST_F(ProcTest, AProcessIsAsActiveAsItsMostActiveThread) {
  Bytes ready;
  TestChild child([&] {
    std::thread busy([&] {
      ready.send();
      spin();
    });
    busy.join();
    return 0;
  });
  ready.receive();
  for (int i = 0; i < 50; ++i) {
    const ProcessState state = observe_state(child.pid());
    EXPECT_TRUE(state == ProcessState::Ready || state == ProcessState::Running);
  }
}

TEST_F(ProcTest, AProcessWhoseMainThreadHasEndedIsAlive) {
  Bytes ready;
  Bytes go_on;
  TestChild child([&] {
    std::thread([&] {
      ready.send();
      go_on.receive();
      ::_exit(4);
    }).detach();
    ::syscall(SYS_exit, 0);
    return 1;
  });
  ready.receive();
  child.signal(SIGSTOP);
  // The leader may be a zombie now; a stop is then reported for the process all the same.
  EXPECT_NE(observe_state(child.pid()), ProcessState::Terminated);
  child.signal(SIGCONT);
  go_on.send();
  EXPECT_EQ(child.exitcode(), 4);
}

TEST_F(ProcTest, ThreadsAreCounted) {
  TestChild child([] {
    const int before = thread_count();
    Bytes started;
    Bytes stop;
    std::thread thread([&] {
      started.send();
      stop.receive();
    });
    started.receive();
    const int during = thread_count();
    stop.send();
    thread.join();
    const auto stat = read_stat(::getpid());
    return during >= before + 1 && before >= 1 && stat->num_threads <= during ? 0 : 1;
  });
  EXPECT_EQ(child.exitcode(), 0);
}

TEST_F(ProcTest, UsageOfALivingProcess) {
  constexpr std::size_t bytes = 32 << 20;
  Bytes ready;
  Bytes stop;
  TestChild child([&] {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    std::timespec time{};
    do {
      ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    } while (time.tv_sec == 0 && time.tv_nsec < 30'000'000);
    ready.send(memory == MAP_FAILED ? 'x' : 'r');
    return stop.receive();
  });
  ASSERT_EQ(ready.receive(), 'r');
  const Usage usage = observe_usage(child.pid());
  EXPECT_GE(usage.user_time + usage.system_time, 30ms);
  EXPECT_GE(usage.user_time, 0ns);
  EXPECT_GE(usage.system_time, 0ns);
  EXPECT_GE(usage.peak_memory, bytes);
}

TEST_F(ProcTest, MappedMemoryIsFoundAndUnmappedIsNot) {
  const int local = 0;
  const auto heap = std::make_unique<int>(0);
  const std::string literal = "x";
  EXPECT_TRUE(mapped(&local));
  EXPECT_TRUE(mapped(heap.get()));
  EXPECT_TRUE(mapped(&global_variable));
  EXPECT_TRUE(mapped(reinterpret_cast<const void*>(&spin)));
  void* page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_TRUE(mapped(static_cast<char*>(page) + 4095));
  ::munmap(page, 4096);
  EXPECT_FALSE(mapped(page));
}

TEST_F(ProcTest, OrdinaryNumbersAreNotMapped) {
  for (const std::uintptr_t number :
       {std::uintptr_t{0}, std::uintptr_t{1}, std::uintptr_t{1'000'000},
        std::uintptr_t{0xffff'ffff}, std::uintptr_t{0x3ff0'0000'0000'0000},  // 1.0
        std::uintptr_t{0xfff0'0000'0000'0000}, std::uintptr_t{0x8000'0000'0000'0000},
        std::numeric_limits<std::uintptr_t>::max(), std::uintptr_t{0x1000'0000'0000},
        std::uintptr_t{0x7fff'8000}}) {
    EXPECT_FALSE(mapped(reinterpret_cast<const void*>(number))) << std::hex << number;
  }
}

// Closures often carry one: what a clock that began with the machine shows in its first day.
TEST_F(ProcTest, MomentsAreNotMapped) {
  for (std::chrono::nanoseconds since_start = 1s; since_start < 24h; since_start += 211s) {
    const auto number = static_cast<std::uintptr_t>(since_start.count());
    EXPECT_FALSE(mapped(reinterpret_cast<const void*>(number))) << std::hex << number;
  }
}

TEST_F(ProcTest, MappedKeepsErrno) {
  errno = EXDEV;
  EXPECT_FALSE(mapped(reinterpret_cast<const void*>(std::uintptr_t{8192})));
  EXPECT_EQ(errno, EXDEV);
}

TEST_F(ProcTest, AddressesAreDescribedInWords) {
  const int local = 0;
  const auto heap = std::make_unique<int>(0);
  if (!test_support::under_asan) {  // which may move locals to a stack of its own
    EXPECT_EQ(describe_address(&local), "the stack");
    std::thread([&] {
      const int of_thread = 0;
      EXPECT_EQ(describe_address(&of_thread), "the stack");
    }).join();
  }
  if (!test_support::under_asan && !test_support::under_tsan) {  // which have their own heaps
    EXPECT_EQ(describe_address(heap.get()), "the heap");
  }
  EXPECT_TRUE(describe_address(&global_variable).starts_with("the program's own image ("));
  EXPECT_TRUE(describe_address(reinterpret_cast<const void*>(&::fork)).starts_with("a loaded lib"));
  EXPECT_EQ(describe_address(nullptr), "unmapped memory");
  void* own = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* shared = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT_EQ(describe_address(own), "private memory");
  EXPECT_TRUE(describe_address(shared).starts_with("shared memory"));
  ::munmap(own, 4096);
  ::munmap(shared, 4096);
}

}  // namespace
}  // namespace procession::detail
