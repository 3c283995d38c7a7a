// The harness against structures whose behaviour under SIGKILL is known: it must find what is
// broken, and must not find anything in what is sound.
#include "harness.hpp"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace procession::faults {
namespace {

// One shared page with a T in it, made anew by reset().
template <class T>
class Shared {
 public:
  Shared()
      : page_(
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) throw std::bad_alloc();
    reset();
  }
  ~Shared() { ::munmap(page_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  void reset() { new (page_) T{}; }
  T* operator->() const { return static_cast<T*>(page_); }
  T& operator*() const { return *static_cast<T*>(page_); }
  std::vector<std::span<const std::byte>> bytes() const {
    return {{static_cast<const std::byte*>(page_), sizeof(T)}};
  }

 private:
  void* page_;
};

struct RobustPair {
  pthread_mutex_t mutex;
  std::uint64_t before = 0;  // invariant when the mutex is free: before == after
  std::uint64_t after = 0;

  RobustPair() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
  }

  // False when the mutex is neither free nor given on by its dead owner.
  bool lock() {
    int error = pthread_mutex_lock(&mutex);
    if (error == EOWNERDEAD) {
      before = after;  // rolls back
      pthread_mutex_consistent(&mutex);
    }
    return error == 0 || error == EOWNERDEAD;
  }
  void unlock() { pthread_mutex_unlock(&mutex); }
};

struct TwoStores {
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> copy{0};
};

struct Word {
  std::atomic<std::uint32_t> value{0};
};

// A store at a time, so that the compiler does not make one of them.
void add_one(TwoStores& stores) {
  stores.count.store(stores.count.load() + 1);
  stores.copy.store(stores.copy.load() + 1);
}

void sleep_on(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}

void wake_all(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

class KillHarness : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = cannot_trace()) GTEST_SKIP() << *reason;
    const char* stride = std::getenv("PROCESSION_FAULT_STRIDE");
    if (stride != nullptr) stride_ = stride;
  }
  void TearDown() override { environment(stride_ ? stride_->c_str() : nullptr, nullptr); }

  // What the surrounding run has set is for the tests of the library.
  void environment(const char* stride, const char* step) {
    stride != nullptr ? ::setenv("PROCESSION_FAULT_STRIDE", stride, 1)
                      : ::unsetenv("PROCESSION_FAULT_STRIDE");
    step != nullptr ? ::setenv("PROCESSION_FAULT_STEP", step, 1)
                    : ::unsetenv("PROCESSION_FAULT_STEP");
  }

 private:
  std::optional<std::string> stride_;
};

TEST_F(KillHarness, FindsNothingWrongWithARobustMutex) {
  Shared<RobustPair> pair;
  FaultPlan plan;
  plan.name = "robust mutex";
  plan.setup = [&] { pair.reset(); };
  plan.operation = [&] {
    pair->lock();
    ++pair->before;
    ++pair->after;
    pair->unlock();
  };
  plan.shared = [&] { return pair.bytes(); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(pair->lock(), "the mutex can be locked");
    trial.expect(pair->before == pair->after, "the counters agree");
    trial.expect(!trial.completed || pair->after == 1, "a complete operation is seen");
    pair->unlock();
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_GT(report.kill_points, 20u);
  EXPECT_GE(report.distinct_states, 4u);
  EXPECT_EQ(report.left_running, 0u);
}

TEST_F(KillHarness, KillsBetweenTwoStoresThatBelongTogether) {
  environment(nullptr, nullptr);
  Shared<TwoStores> stores;
  FaultPlan plan;
  plan.name = "two stores";
  plan.setup = [&] { stores.reset(); };
  plan.operation = [&] { add_one(*stores); };
  plan.max_failures = 100;
  plan.survivors = [&](const Trial& trial) {
    trial.expect(stores->count == stores->copy, "both stores or none");
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_FALSE(report.ok());
  EXPECT_LT(report.failures.size(), 20u) << "only the instructions between the stores";
}

TEST_F(KillHarness, FindsASpinlockThatDiesWithItsOwner) {
  environment(nullptr, nullptr);
  Shared<Word> lock;
  FaultPlan plan;
  plan.name = "spinlock";
  plan.setup = [&] { lock.reset(); };
  plan.operation = [&] {
    while (lock->value.exchange(1) != 0) {
    }
    lock->value.store(0);
  };
  plan.survivors = [&](const Trial& trial) {
    bool taken = false;
    for (int i = 0; i < 1000 && !taken; ++i) taken = lock->value.exchange(1) == 0;
    trial.expect(taken, "the lock can be taken");
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_FALSE(report.ok());
}

TEST_F(KillHarness, SaysAtWhichStepSurvivorsHang) {
  environment(nullptr, nullptr);
  Shared<Word> lock;
  FaultPlan plan;
  plan.name = "spinlock";
  plan.time_limit = std::chrono::milliseconds(300);
  plan.setup = [&] { lock.reset(); };
  plan.operation = [&] {
    lock->value.exchange(1);
    lock->value.store(0);
  };
  plan.survivors = [&](const Trial&) {
    while (lock->value.load() != 0) {
    }
  };
  EXPECT_DEATH(kill_at_every_instruction(plan),
               "spinlock: step [0-9]+, killed at .*did not return");
}

TEST_F(KillHarness, SaysAtWhichStepSurvivorsCrash) {
  environment(nullptr, nullptr);
  Shared<TwoStores> stores;
  FaultPlan plan;
  plan.name = "crash";
  plan.setup = [&] { stores.reset(); };
  plan.operation = [&] { add_one(*stores); };
  plan.survivors = [&](const Trial&) {
    if (stores->count != stores->copy) std::abort();
  };
  EXPECT_DEATH(kill_at_every_instruction(plan), "crash: step [0-9]+: this process crashed");
}

TEST_F(KillHarness, AWaiterGetsTheLockOfItsDeadOwner) {
  Shared<RobustPair> pair;
  FaultPlan plan;
  plan.name = "waiter of a robust mutex";
  plan.setup = [&] { pair.reset(); };
  plan.prepare = [&] { pair->lock(); };
  plan.operation = [&] {
    ++pair->before;
    ++pair->after;
    pair->unlock();
  };
  plan.waiter = [&] {
    bool locked = pair->lock();
    pair->unlock();
    return locked && pair->before == pair->after ? 0 : 1;
  };
  plan.survivors = [](const Trial& trial) {
    trial.expect(trial.waiter() == 0, "the waiter gets the lock, and counters that agree");
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
}

TEST_F(KillHarness, FindsAWaiterThatNobodyWakes) {
  environment(nullptr, nullptr);
  Shared<Word> word;
  FaultPlan plan;
  plan.name = "lost wake-up";
  plan.time_limit = std::chrono::milliseconds(300);
  plan.max_failures = 1;
  plan.setup = [&] { word.reset(); };
  plan.operation = [&] {
    word->value.store(1);
    wake_all(word->value);
  };
  plan.waiter = [&] {
    sleep_on(word->value, 0);
    return 0;
  };
  plan.survivors = [](const Trial& trial) { trial.waiter(); };
  FaultReport report = kill_at_every_instruction(plan);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.failures[0].what.find("goes on waiting"), std::string::npos) << report;
}

TEST_F(KillHarness, KillsAProcessThatSleepsWhereThatIsThePlan) {
  environment(nullptr, nullptr);
  Shared<Word> word;
  bool blocked = false;
  FaultPlan plan;
  plan.name = "sleeper";
  plan.blocks = true;
  plan.operation = [&] { sleep_on(word->value, 0); };
  plan.survivors = [&](const Trial& trial) {
    blocked = blocked || trial.blocked;
    trial.expect(!trial.completed, "nobody ends the sleep");
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_TRUE(blocked);
}

TEST_F(KillHarness, SaysWhereAnOperationHangs) {
  environment(nullptr, nullptr);
  Shared<Word> word;
  FaultPlan plan;
  plan.name = "hang";
  plan.time_limit = std::chrono::milliseconds(200);
  plan.max_failures = 1;
  plan.operation = [&] { sleep_on(word->value, 0); };
  FaultReport report = kill_at_every_instruction(plan);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.failures[0].what.find("in system call " + std::to_string(SYS_futex)),
            std::string::npos)
      << report;
}

TEST_F(KillHarness, ReachesEveryInstructionOfALongOperationWithoutSteppingAllOfThem) {
  environment(nullptr, nullptr);
  Shared<TwoStores> stores;
  std::set<std::uint64_t> seen;
  FaultPlan plan;
  plan.name = "long";
  plan.setup = [&] { stores.reset(); };
  plan.operation = [&] {
    for (int i = 0; i < 100; ++i) add_one(*stores);
  };
  plan.survivors = [&](const Trial&) { seen.insert(stores->count * 1000 + stores->copy); };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_EQ(seen.size(), 201u) << "each state in which the memory can be was left behind once";
  EXPECT_LT(report.stops, report.last_step * report.last_step / 4);
}

TEST_F(KillHarness, AStrideStillKillsWhereverSharedMemoryChanges) {
  environment("1000", nullptr);
  Shared<TwoStores> stores;
  FaultPlan plan;
  plan.name = "stride";
  plan.setup = [&] { stores.reset(); };
  plan.operation = [&] { add_one(*stores); };
  plan.shared = [&] { return stores.bytes(); };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_EQ(report.distinct_states, 3u) << report;
  EXPECT_LT(report.kill_points, report.last_step / 2) << report;
}

TEST_F(KillHarness, RepeatsOneStepAlone) {
  environment(nullptr, "3");
  Shared<TwoStores> stores;
  std::vector<std::size_t> steps;
  FaultPlan plan;
  plan.operation = [&] { add_one(*stores); };
  plan.survivors = [&](const Trial& trial) {
    if (!trial.completed) steps.push_back(trial.step);
  };
  kill_at_every_instruction(plan);
  EXPECT_EQ(steps, std::vector<std::size_t>{3});
}

TEST_F(KillHarness, ReportsAnOperationThatThrows) {
  environment(nullptr, nullptr);
  FaultPlan plan;
  plan.max_failures = 1;
  plan.operation = [] { throw std::runtime_error("no more room"); };
  FaultReport report = kill_at_every_instruction(plan);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.failures[0].what.find("no more room"), std::string::npos) << report;
}

TEST_F(KillHarness, ReportsAPreparationThatThrows) {
  FaultPlan plan;
  plan.prepare = [] { throw std::runtime_error("not prepared"); };
  plan.operation = [] {};
  FaultReport report = kill_at_every_instruction(plan);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.failures[0].what.find("not prepared"), std::string::npos) << report;
}

TEST_F(KillHarness, EndsWhatTheKilledProcessHasStarted) {
  environment("10", nullptr);
  Shared<Word> started;
  FaultPlan plan;
  plan.name = "grandchildren";
  plan.setup = [&] { started.reset(); };
  plan.operation = [&] {
    pid_t child = ::fork();
    if (child == 0) {
      started->value.store(static_cast<std::uint32_t>(::getpid()));
      for (;;) ::pause();
    }
  };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_GT(report.left_running, 0u) << report;
}

TEST_F(KillHarness, AnOperationMayBeTheEndOfTheProcess) {
  environment(nullptr, nullptr);
  FaultPlan plan;
  plan.operation = [] { ::_exit(0); };
  int completed = 0;
  plan.survivors = [&](const Trial& trial) { completed += trial.completed ? 1 : 0; };
  FaultReport report = kill_at_every_instruction(plan);
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_GE(completed, 1);
}

}  // namespace
}  // namespace procession::faults
