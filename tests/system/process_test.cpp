#include "system/process.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>

#include "procession/errors.hpp"
#include "system_test.hpp"

namespace procession::detail {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
using ProcessTest = SystemTest;
using ForkTest = SystemTest;

// A kernel that keeps the status of reaped processes?
bool keeps_exit_status() {
  TestChild child([] { return 0; });
  child.finish();
  return exit_status_from_pidfd(child.pidfd()).has_value();
}

TEST_F(ProcessTest, ReapReportsExitCodes) {
  for (const int code : {0, 1, 42, 255}) {
    TestChild child([code] { return code; });
    EXPECT_EQ(child.exitcode(), code);
  }
}

TEST_F(ProcessTest, ReapReportsTheKillingSignalAndWhetherCoreWasDumpedAsWaitpidDoes) {
  Bytes bytes;
  TestChild child([&] { return bytes.receive(); });
  child.signal(SIGKILL);
  const ExitRecord record = child.finish();
  EXPECT_TRUE(WIFSIGNALED(record.status));
  EXPECT_EQ(WTERMSIG(record.status), SIGKILL);
  EXPECT_EQ(exitcode_of(record.status), -SIGKILL);
}

TEST_F(ProcessTest, ReapWithoutBlockingTellsARunningChildFromAStrangeOne) {
  Bytes bytes;
  TestChild child([&] { return bytes.receive(); });
  ExitRecord record;
  EXPECT_EQ(reap(child.pidfd(), false, record), ReapOutcome::Running);
  EXPECT_FALSE(reap(child.pidfd(), false).has_value());
  const Descriptor parent = open_pidfd(::getppid());
  EXPECT_EQ(reap(parent.get(), false, record), ReapOutcome::NotOurs);
  EXPECT_EQ(reap(parent.get(), true, record), ReapOutcome::NotOurs);
}

TEST_F(ProcessTest, ReapReportsCpuTimeAndPeakMemory) {
  constexpr std::size_t bytes = 32 << 20;
  TestChild child([] {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    std::timespec time{};
    do {
      ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    } while (time.tv_sec == 0 && time.tv_nsec < 20'000'000);
    return memory == MAP_FAILED ? 1 : 0;
  });
  const ExitRecord record = child.finish();
  EXPECT_EQ(record.status, 0);
  EXPECT_GE(record.user_time + record.system_time, 19ms);
  EXPECT_GE(record.peak_memory, bytes);
}

TEST_F(ProcessTest, StatusSurvivesAWaitpidOfTheHostProgram) {
  if (!keeps_exit_status()) GTEST_SKIP() << "this kernel keeps no exit status in pidfds";
  TestChild child([] { return 7; });
  EXPECT_EQ(::waitpid(child.pid(), nullptr, 0), child.pid());
  child.forget();
  ExitRecord record;
  EXPECT_EQ(reap(child.pidfd(), true, record), ReapOutcome::Recorded);
  EXPECT_EQ(exitcode_of(record.status), 7);
  EXPECT_EQ(exit_status_from_pidfd(child.pidfd()), record.status);
}

TEST_F(ProcessTest, StatusSurvivesAnIgnoredSigchld) {
  if (!keeps_exit_status()) GTEST_SKIP() << "this kernel keeps no exit status in pidfds";
  auto* const old = std::signal(SIGCHLD, SIG_IGN);
  for (int i = 0; i < 200; ++i) {  // often: the kernel files the status a moment after the end
    TestChild child([i] { return i % 256; });
    const auto record = reap(child.pidfd(), true);
    child.forget();
    EXPECT_TRUE(record.has_value());
    EXPECT_EQ(exitcode_of(record.value_or(ExitRecord{}).status), i % 256);
  }
  std::signal(SIGCHLD, old);
}

TEST_F(ProcessTest, SignalsAreRefusedByTheEndedReapedOrNot) {
  Bytes bytes;
  TestChild child([&] { return bytes.receive(); });
  EXPECT_TRUE(send_signal(child.pidfd(), 0));
  EXPECT_FALSE(pidfd_ended(child.pidfd()));
  child.signal(SIGTERM);
  child.wait_ended();
  EXPECT_TRUE(pidfd_ended(child.pidfd()));
  EXPECT_FALSE(send_signal(child.pidfd(), SIGTERM));
  EXPECT_EQ(child.exitcode(), -SIGTERM);
  EXPECT_FALSE(send_signal(child.pidfd(), SIGTERM));
}

TEST_F(ProcessTest, WaitHonoursItsDeadlineAlsoOneInThePast) {
  Bytes bytes;
  TestChild child([&] { return bytes.receive(); });
  const auto start = steady_clock::now();
  EXPECT_FALSE(wait_pidfd(child.pidfd(), start + 20ms));
  EXPECT_GE(steady_clock::now() - start, 20ms);
  EXPECT_FALSE(wait_pidfd(child.pidfd(), start - 1h));
  EXPECT_FALSE(wait_pidfd(child.pidfd(), steady_clock::time_point::min()));
  bytes.send();
  EXPECT_TRUE(wait_pidfd(child.pidfd(), steady_clock::time_point::max()));
  EXPECT_TRUE(wait_pidfd(child.pidfd(), std::nullopt));
}

TEST_F(ProcessTest, WaitGoesOnAfterASignalHandler) {
  struct sigaction act {
  }, old{};
  act.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &act, &old);
  const pid_t self = ::getpid();
  TestChild child([self] {
    for (int i = 0; i < 50; ++i) ::kill(self, SIGUSR1);
    return 3;
  });
  EXPECT_TRUE(wait_pidfd(child.pidfd(), std::nullopt));
  EXPECT_EQ(child.exitcode(), 3);
  ::sigaction(SIGUSR1, &old, nullptr);
}

TEST_F(ProcessTest, AMissingProcessIsAnErrorThatNamesIt) {
  TestChild child([] { return 0; });
  child.finish();
  try {
    (void)open_pidfd(child.pid());
    ADD_FAILURE() << "opened";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), ESRCH);
    EXPECT_NE(std::strstr(error.what(), std::to_string(child.pid()).c_str()), nullptr);
  }
}

TEST_F(ForkTest, ThreadIdAndParentAreRightInTheChildAndItsChild) {
  const auto right = [](pid_t parent) {
    pid_t* cached = nullptr;
    if (::prctl(40 /* PR_GET_TID_ADDRESS */, &cached) != 0) cached = nullptr;
    const auto tid = static_cast<pid_t>(::syscall(SYS_gettid));
    return ::getppid() == parent && ::getpid() == tid && ::gettid() == tid &&
           (cached == nullptr || *cached == tid);
  };
  const pid_t self = ::getpid();
  TestChild child([&] {
    if (!right(self)) return 1;
    const pid_t middle = ::getpid();
    TestChild grandchild([&] { return right(middle) ? 0 : 2; });
    return grandchild.exitcode();
  });
  EXPECT_EQ(child.exitcode(), 0);
}

TEST_F(ForkTest, PidfdIsCloseOnExec) {
  TestChild child([] { return 0; });
  EXPECT_EQ(::fcntl(child.pidfd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

// A process-shared robust mutex in memory that children share.
class SharedMutex {
 public:
  SharedMutex()
      : mutex_(static_cast<pthread_mutex_t*>(::mmap(nullptr, sizeof(pthread_mutex_t),
                                                    PROT_READ | PROT_WRITE,
                                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    ::pthread_mutex_init(mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  ~SharedMutex() {
    ::pthread_mutex_destroy(mutex_);
    ::munmap(mutex_, sizeof(pthread_mutex_t));
  }
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;
  int lock() { return ::pthread_mutex_lock(mutex_); }
  int unlock() { return ::pthread_mutex_unlock(mutex_); }
  int recover() { return ::pthread_mutex_consistent(mutex_); }

 private:
  pthread_mutex_t* mutex_;
};

TEST_F(ForkTest, RobustMutexOfAKilledChildReportsOwnerDeath) {
  SharedMutex mutex;
  TestChild child([&] { return mutex.lock() != 0 ? 1 : ::raise(SIGKILL); });
  EXPECT_EQ(child.exitcode(), -SIGKILL);
  EXPECT_EQ(mutex.lock(), EOWNERDEAD);
  EXPECT_EQ(mutex.recover(), 0);
  EXPECT_EQ(mutex.unlock(), 0);
}

TEST_F(ForkTest, RobustMutexHeldByTheParentIsNotTheChilds) {
  SharedMutex held, other;
  ASSERT_EQ(held.lock(), 0);
  TestChild child([&] {
    // Not its owner, though its end must not mark it; and its own list must hold together.
    if (held.unlock() != EPERM) return 1;
    if (other.lock() != 0 || other.unlock() != 0 || other.lock() != 0) return 2;
    return 0;
  });
  EXPECT_EQ(child.exitcode(), 0);
  EXPECT_EQ(held.unlock(), 0);
  EXPECT_EQ(held.lock(), 0);
  EXPECT_EQ(held.unlock(), 0);
  EXPECT_EQ(other.lock(), EOWNERDEAD);
  EXPECT_EQ(other.recover(), 0);
  EXPECT_EQ(other.unlock(), 0);
}

// Makes a system call fail with ENOSYS in this process and its children, as old sandboxes do.
bool forbid(long number) {
  std::array<sock_filter, 4> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(ForkTest, ASandboxWithoutClone3GetsTheSameFromOtherCalls) {
  SharedMutex mutex;
  TestChild child([&] {
    if (!forbid(SYS_clone3)) return 77;
    TestChild grandchild([&] { return mutex.lock() == 0 && ::gettid() == ::getpid() ? 6 : 1; });
    return grandchild.exitcode();
  });
  const int code = child.exitcode();
  if (code == 77) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(code, 6);
  EXPECT_EQ(mutex.lock(), EOWNERDEAD);
  EXPECT_EQ(mutex.recover(), 0);
  EXPECT_EQ(mutex.unlock(), 0);
}

TEST_F(ForkTest, ChildCanHaveThreadsAndMemory) {
  TestChild child([] {
    pthread_t thread;
    int* number = new int(0);
    const auto body = [](void* to) -> void* {
      *static_cast<int*>(to) = ::gettid() != ::getpid() ? 5 : 1;
      return nullptr;
    };
    if (::pthread_create(&thread, nullptr, body, number) != 0) return 2;
    ::pthread_join(thread, nullptr);
    const int result = *number;
    delete number;
    return result;
  });
  EXPECT_EQ(child.exitcode(), 5);
}

}  // namespace
}  // namespace procession::detail
