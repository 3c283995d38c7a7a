// What the next one learns when whoever held a lock has died: the same for every type that names
// its owner, whoever died, and whether the next one slept or came afterwards.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "procession/pool.hpp"
#include "support/tree.hpp"
#include "sync/contestant.hpp"

namespace procession {
namespace {

using namespace sync_test;

constexpr auto told_at_once = under_sanitizer ? 2s : 50ms;

// Who dies: whoever may come to a lock, and two more.
enum class Who { Thread, Fork, ProcessFork, ProcessForkServer, ProcessSpawn, Grandchild, Worker };
constexpr std::array all_mortals{
    Who::Thread,       Who::Fork,       Who::ProcessFork, Who::ProcessForkServer,
    Who::ProcessSpawn, Who::Grandchild, Who::Worker};

std::string name_of(Who who) {
  if (who == Who::Grandchild) return "a grandchild";
  if (who == Who::Worker) return "a worker of a pool";
  return "one of the " + sync_test::name_of(static_cast<By>(who));
}

// Holds the lock from its construction on, until it dies.
template <class Row>
class Holder {
 public:
  Holder(Who who, const typename Row::Handle& handle) {
    const auto life = [=, pid = pid_, died = died_, taken = taken_, end = end_] {
      Row::block(handle);
      pid.store(::getpid());
      taken.set();
      end.wait();
      died.store(now_in_nanoseconds());
      if (who != Who::Thread) ::kill(::getpid(), SIGKILL);
    };
    if (who == Who::Worker) {
      pool_.emplace(1);
      task_ = pool_->apply_async(life);
    } else if (who == Who::Grandchild) {
      direct_.emplace(By::ProcessForkServer, [life] {
        Process child({.name = "holder"}, life);
        child.start();
        child.join();
        EXPECT_EQ(child.exitcode(), -SIGKILL);
      });
    } else {
      direct_.emplace(static_cast<By>(who), life);
    }
    survives_ = who == Who::Thread || who == Who::Grandchild;
    EXPECT_TRUE(taken_.wait(patience));
  }

  pid_t pid() const { return pid_.load(); }
  void die() const { end_.set(); }
  std::int64_t died() const { return died_.load(); }  // when: on the monotonic clock
  void expect_death() {
    if (task_) {
      EXPECT_THROW(task_->get(patience), WorkerDied);
    } else if (survives_) {
      direct_->expect_success();
    } else {
      direct_->expect_killed();
    }
  }

 private:
  const Value<pid_t> pid_{0};
  const Value<std::int64_t> died_{0};
  const Event taken_, end_;
  bool survives_ = false;
  std::optional<Contestant> direct_;
  std::optional<Pool> pool_;
  std::optional<AsyncResult<void>> task_;
};

std::optional<News> receive(Pipe& pipe) {
  if (test_support::wait_readable(pipe.read_end(), test_support::Deadline(patience))) {
    return pipe.receive<News>();
  }
  ADD_FAILURE() << "the waiter was told nothing";
  return std::nullopt;
}

template <class Row>
void expect_right(const News& news, pid_t dead) {
  EXPECT_EQ(news.holds, !Row::facts.tells_of_death);
  if (news.holds) return;
  EXPECT_EQ(news.dead, dead);
  EXPECT_STRNE(news.process_name, "");
  EXPECT_STREQ(news.object_name, "ledger");
}

// What everybody gets from then on: an error until it is recovered, or the lock.
template <class Row>
void expect_aftermath(const typename Row::Handle& handle, pid_t dead) {
  for (const By by : {By::Thread, By::Fork}) {
    if constexpr (Row::facts.tells_of_death) {
      run_contestant(by, [handle, dead] {
        EXPECT_THROW((void)handle.try_acquire(), OwnerDied);
        EXPECT_THROW((void)handle.try_lock(), OwnerDied);
        EXPECT_THROW((void)handle.acquire(1h), OwnerDied);
        EXPECT_THROW((void)handle.try_lock_until(steady_clock::now() + 1h), OwnerDied);
        EXPECT_THROW(handle.acquire(), OwnerDied);
        EXPECT_THROW(handle.release(), StateError);
        expect_error<OwnerDied>("'ledger'", [&] { handle.lock(); });
        expect_error<OwnerDied>(std::to_string(dead), [&] { handle.lock(); });
        if constexpr (requires { handle.locked(); }) {
          EXPECT_TRUE(handle.locked());
        }
      });
    } else {
      run_contestant(by, [handle] {
        EXPECT_TRUE(handle.try_lock());
        handle.unlock();
      });
    }
  }
  if constexpr (requires { handle.recover(); }) {
    EXPECT_EQ(handle.recover(), Row::facts.tells_of_death);
    handle.unlock();
    EXPECT_FALSE(handle.recover());
    handle.unlock();
  }
  Row::block(handle);
  Row::unblock(handle);
}

template <class Row>
class DeathConformance : public testing::Test {};
TYPED_TEST_SUITE(DeathConformance, TypesOf<Rows>::Types, RowNames);

TYPED_TEST(DeathConformance, WhoSleepsIsToldAtOnce) {
  for (const Who who : all_mortals) {
    SCOPED_TRACE(name_of(who));
    const auto handle = TypeParam::make(Name{"ledger"});
    Holder<TypeParam> holder(who, handle);
    const Event here;
    Pipe told;
    Child waiter = start_child([&] {
      here.set();
      told.send(news_of_waiting(handle));
    });
    EXPECT_TRUE(here.wait(patience));
    await_futex_sleep(waiter);
    const pid_t pid = holder.pid();
    holder.die();
    if (const auto news = receive(told)) {
      expect_right<TypeParam>(*news, pid);
      EXPECT_LT(std::chrono::nanoseconds(news->nanoseconds - holder.died()), told_at_once);
      EXPECT_EQ(waiter.wait(), (test_support::ChildStatus{0, 0}));
    }
    holder.expect_death();
    expect_aftermath<TypeParam>(handle, pid);
  }
}

TYPED_TEST(DeathConformance, WhoComesAfterwardsIsTold) {
  for (const Who who : all_mortals) {
    SCOPED_TRACE(name_of(who));
    const auto handle = TypeParam::make(Name{"ledger"});
    pid_t pid = 0;
    {
      Holder<TypeParam> holder(who, handle);
      pid = holder.pid();
      holder.die();
      holder.expect_death();
    }
    expect_right<TypeParam>(news_of_waiting(handle), pid);
    expect_aftermath<TypeParam>(handle, pid);
  }
}

// Nobody needs to have seen a death before it is made good; a release does not hide it.
TYPED_TEST(DeathConformance, AReleaseBeforeAnybodyHasSeenADeathDoesNotHideIt) {
  for (const Who who : all_mortals) {
    SCOPED_TRACE(name_of(who));
    const auto handle = TypeParam::make(Name{"ledger"});
    Holder<TypeParam> holder(who, handle);
    const pid_t pid = holder.pid();
    holder.die();
    holder.expect_death();
    if constexpr (!TypeParam::facts.counts) {
      EXPECT_THROW(handle.release(), StateError);
    }
    expect_right<TypeParam>(news_of_waiting(handle), pid);
    expect_aftermath<TypeParam>(handle, pid);
  }
}

// Stopped, as the kernel shows it.
void await_stop(pid_t pid) {
  const test_support::Deadline deadline(patience);
  while (!deadline.passed()) {
    for (const auto& entry : test_support::all_processes()) {
      if (entry.pid == pid && entry.state == 'T') return;
    }
  }
  ADD_FAILURE() << "process " << pid << " did not stop";
}

TYPED_TEST(DeathConformance, AStoppedHolderIsAlive) {
  for (const By by : {By::Fork, By::ProcessFork, By::ProcessForkServer, By::ProcessSpawn}) {
    SCOPED_TRACE(sync_test::name_of(by));
    const auto handle = TypeParam::make(Name{"ledger"});
    const Event taken, end;
    Contestant holder(by, [handle, taken, end] {
      TypeParam::block(handle);
      taken.set();
      end.wait();
      TypeParam::unblock(handle);
    });
    EXPECT_TRUE(taken.wait(patience));
    ::kill(holder.pid(), SIGSTOP);
    await_stop(holder.pid());
    EXPECT_NO_THROW(EXPECT_FALSE(handle.acquire(300ms)));
    EXPECT_NO_THROW(EXPECT_FALSE(handle.try_lock()));
    ::kill(holder.pid(), SIGCONT);
    EXPECT_NO_THROW(EXPECT_FALSE(handle.try_lock()));
    end.set();
    holder.expect_success();
    EXPECT_TRUE(handle.try_lock());
    handle.unlock();
  }
}

// The processes of a family live on without its root, and so do their locks.
class Root {
 public:
  Root(const std::string& row, const std::string& method)
      : child_(start_child([&] {
          const std::string go = path_of(go_.read_end()), news = path_of(news_.write_end());
          ::execl(SYNC_HELPER, SYNC_HELPER, row.c_str(), method.c_str(), go.c_str(), news.c_str(),
                  nullptr);
        })) {
    waiter_ = news_.receive<pid_t>().value_or(0);
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, waiter_, 0));
  }
  ~Root() {
    EXPECT_TRUE(test_support::wait_readable(pidfd_, test_support::Deadline(patience)));
    ::close(pidfd_);
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  pid_t pid() const { return child_.pid(); }
  pid_t waiter() const { return waiter_; }
  void let_waiter_go() { go_.send('x'); }
  std::int64_t kill() {
    const std::int64_t now = now_in_nanoseconds();
    child_.kill();
    return now;
  }
  void await_end() { EXPECT_EQ(child_.wait().signal, SIGKILL); }
  std::optional<News> news() { return receive(news_); }

 private:
  // For processes that inherit no descriptor.
  std::string path_of(int descriptor) const {
    return "/proc/" + std::to_string(owner_) + "/fd/" + std::to_string(descriptor);
  }

  const pid_t owner_ = ::getpid();
  Pipe go_, news_;
  Child child_;
  pid_t waiter_ = 0;
  int pidfd_ = -1;
};

TYPED_TEST(DeathConformance, TheDeathOfTheRootIsToldToThoseItLeaves) {
  for (const char* method : {"Fork", "ForkServer", "Spawn"}) {
    SCOPED_TRACE(method);
    {
      Root root(TypeParam::name(), method);
      const pid_t pid = root.pid();
      root.let_waiter_go();
      await_futex_sleep(root.waiter(), root.waiter());
      const std::int64_t killed = root.kill();
      if (const auto news = root.news()) {
        expect_right<TypeParam>(*news, pid);
        EXPECT_LT(std::chrono::nanoseconds(news->nanoseconds - killed), told_at_once);
      }
      root.await_end();
    }
    {
      Root root(TypeParam::name(), method);
      const pid_t pid = root.pid();
      root.kill();
      root.await_end();
      root.let_waiter_go();
      if (const auto news = root.news()) expect_right<TypeParam>(*news, pid);
    }
  }
}

// A permit taken by acquire() is a count, nobody's: it is lost, and a release makes it up.
TEST(SemaphoreConformance, ABarePermitIsNotGivenBack) {
  struct Bare : OfSemaphore {
    static void block(const Semaphore& semaphore) { semaphore.acquire(); }
  };
  for (const Who who : all_mortals) {
    SCOPED_TRACE(name_of(who));
    const Semaphore semaphore(1, Name{"ledger"});
    Holder<Bare> holder(who, semaphore);
    holder.die();
    holder.expect_death();
    EXPECT_FALSE(semaphore.try_acquire());
    EXPECT_FALSE(semaphore.acquire(10ms));
    EXPECT_EQ(semaphore.get_value(), 0);
    semaphore.release();
    EXPECT_TRUE(semaphore.try_acquire());
  }
}

}  // namespace
}  // namespace procession
