// Four processes do random operations on sixteen objects while a fifth kills one of them every few
// milliseconds and starts another in its place. No hang, no lost permit, no wrong exception, nobody
// in a place where somebody else is.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "procession/procession.hpp"
#include "support/fixture.hpp"
#include "sync/sleeper.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int workers = 4;
constexpr std::size_t places = 16;

// What the workers say of themselves, outside of the objects under test.
struct Board {
  std::array<int, places> owner;  // worker + 1 that is alone inside; 0: nobody
  std::array<std::array<int, workers>, places> sharing;  // 1: that worker is inside with others
  std::array<int, workers> doomed;  // it is being killed: its words count for nothing
  std::array<std::uint64_t, workers> steps;
  std::array<std::uint64_t, workers> heard_of_death;
  std::uint64_t deadlocks;
  int stop;
  int complaints;
  std::array<char, 256> complaint;
};

struct Objects {
  std::array<Lock, 3> locks{Lock{Name{"lock 0"}}, Lock{Name{"lock 1"}}, Lock{Name{"lock 2"}}};
  std::array<Lock, 2> passing{Lock{OnOwnerDeath::Release}, Lock{OnOwnerDeath::Release}};
  std::array<RLock, 2> rlocks{};
  std::array<RWLock, 2> rwlocks{};
  std::array<BoundedSemaphore, 2> bounded{BoundedSemaphore(2), BoundedSemaphore(2)};
  Semaphore semaphore{2};
  std::array<Event, 2> events{};
  RLock under_condition{};
  Condition condition{under_condition};
  Barrier barrier{2};
};

template <class T>
std::atomic_ref<T> at(T& word) {
  return std::atomic_ref<T>(word);
}

class Worker {
 public:
  Worker(int number, unsigned seed, const Objects& objects, Board& board)
      : number_(number), random_(seed), the_(objects), board_(board) {}

  void run() {
    while (at(board_.stop).load() == 0) {
      try {
        step();
      } catch (const std::exception& error) {
        complain(std::string("a wrong exception: ") + error.what());
        return;
      }
      at(board_.steps[static_cast<std::size_t>(number_)]).fetch_add(1);
    }
  }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  void complain(const std::string& what) {
    if (at(board_.complaints).fetch_add(1) != 0) return;
    std::strncpy(board_.complaint.data(), what.c_str(), board_.complaint.size() - 1);
  }
  void work() {
    for (std::size_t i = below(2000); i > 0; --i)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    if (below(3) == 0) sched_yield();  // so that some are killed inside, and others wait for them
  }
  void heard() { at(board_.heard_of_death[static_cast<std::size_t>(number_)]).fetch_add(1); }

  bool doomed(int worker) const {
    return at(board_.doomed[static_cast<std::size_t>(worker)]).load() != 0;
  }

  // Alone in `place`. `passed_on`: a dead owner may have left its name there, and nobody tells.
  void alone(std::size_t place, bool passed_on) {
    const int found = at(board_.owner[place]).exchange(number_ + 1);
    if (found != 0 && !passed_on) complain("somebody else is inside " + std::to_string(place));
    nobody_shares(place);
    work();
    if (at(board_.owner[place]).exchange(0) != number_ + 1) complain("somebody came in");
  }
  void nobody_shares(std::size_t place) {
    for (int other = 0; other < workers; ++other) {
      auto word = at(board_.sharing[place][static_cast<std::size_t>(other)]);
      if (word.load() != 0 && !doomed(other) && word.load() != 0) complain("a reader is inside");
    }
  }
  void with_others(std::size_t place, int most) {
    auto mine = at(board_.sharing[place][static_cast<std::size_t>(number_)]);
    mine.store(1);
    int inside = 0;
    for (int other = 0; other < workers; ++other) {
      auto word = at(board_.sharing[place][static_cast<std::size_t>(other)]);
      inside += word.load() != 0 && !doomed(other) && word.load() != 0;
    }
    if (inside > most) complain("more are inside than permits");
    work();
    mine.store(0);
  }

  // Takes the lock one way or the other; false: it did not get it.
  template <class L>
  bool take(const L& lock, std::size_t place) {
    try {
      switch (below(4)) {
        case 0:
          return lock.try_acquire();
        case 1:
          return lock.acquire(std::chrono::microseconds(below(3000)));
        default:
          return lock.acquire();
      }
    } catch (const OwnerDied&) {
      heard();
      if (lock.recover()) at(board_.owner[place]).store(0);
      return true;
    }
  }

  void exclusive(const Lock& lock, std::size_t place, bool passed_on) {
    if (!take(lock, place)) return;
    alone(place, passed_on);
    lock.release();
  }

  void step() {
    switch (below(13)) {
      case 12:
        return out_of_order();
      case 0: {
        const std::size_t i = below(3);
        return exclusive(the_.locks[i], i, false);
      }
      case 1: {
        if (!take(the_.locks[0], 0)) return;
        try {
          exclusive(the_.locks[2], 2, false);
        } catch (const DeadlockError&) {
          at(board_.deadlocks).fetch_add(1);
        }
        alone(0, false);
        return the_.locks[0].release();
      }
      case 2: {
        const std::size_t i = below(2);
        return exclusive(the_.passing[i], 3 + i, true);
      }
      case 3: {
        const std::size_t i = below(2);
        const RLock& lock = the_.rlocks[i];
        if (!take(lock, 5 + i)) return;
        lock.acquire();
        alone(5 + i, false);
        lock.release();
        return lock.release();
      }
      case 4:
      case 5:
        return read_or_write(below(2));
      case 6:
      case 7: {
        const std::size_t i = below(2);
        const BoundedSemaphore& semaphore = the_.bounded[i];
        if (below(2) == 0 ? !semaphore.try_acquire() : !semaphore.acquire()) return;
        with_others(9 + i, 2);
        return semaphore.release();
      }
      case 8: {
        const std::scoped_lock guard(the_.semaphore);
        return with_others(11, 2);
      }
      case 9: {
        const Event& event = the_.events[below(2)];
        if (below(3) == 0) return event.set();
        if (below(2) == 0) return event.clear();
        (void)event.wait(1ms);
        return;
      }
      case 10:
        return signal();
      default:
        return meet();
    }
  }

  // Against those who take 0 before 2: whoever closes the cycle is told, and lets go.
  void out_of_order() {
    if (!take(the_.locks[2], 2)) return;
    try {
      exclusive(the_.locks[0], 0, false);
    } catch (const DeadlockError& error) {
      if (error.cycle().size() < 2) complain(error.what());
      at(board_.deadlocks).fetch_add(1);
    }
    alone(2, false);
    the_.locks[2].release();
  }

  void read_or_write(std::size_t i) {
    const RWLock& lock = the_.rwlocks[i];
    const std::size_t place = 7 + i;
    try {
      if (below(3) != 0) {
        lock.lock_shared();
        if (at(board_.owner[place]).load() != 0) complain("a writer is inside with a reader");
        with_others(place, workers);
        return lock.unlock_shared();
      }
      lock.lock();
    } catch (const OwnerDied&) {
      heard();
      if (lock.recover()) at(board_.owner[place]).store(0);
    }
    alone(place, false);
    lock.unlock();
  }

  void signal() {
    if (!take(the_.under_condition, 12)) return;
    if (below(2) == 0) {
      the_.condition.notify(1);
    } else {
      try {
        (void)the_.condition.wait(1ms);
      } catch (const OwnerDied&) {
        heard();
        if (the_.under_condition.recover()) at(board_.owner[12]).store(0);
      }
    }
    alone(12, false);
    the_.under_condition.release();
  }

  void meet() {
    try {
      (void)the_.barrier.wait(2ms);
    } catch (const BrokenBarrierError&) {
      the_.barrier.reset();
    }
  }

  int number_;
  std::minstd_rand random_;
  const Objects& the_;
  Board& board_;
};

enum class Kernel { This, OneWord };  // the latter: as before 5.16

void run_worker(Kernel kernel, int number, unsigned seed, Objects objects, Value<Board> board) {
  if (kernel == Kernel::OneWord) detail::pretend_single_word_kernel();
  Worker(number, seed, objects, board.value()).run();
}

class Crew {
 public:
  Crew(unsigned seed, Kernel kernel) : random_(seed), kernel_(kernel) {
    for (int i = 0; i < workers; ++i) start(i);
  }
  Board& board() { return board_.value(); }
  const Objects& objects() const { return objects_; }

  void kill_and_replace() {
    const int victim = std::uniform_int_distribution(0, workers - 1)(random_);
    const auto i = static_cast<std::size_t>(victim);
    at(board().doomed[i]).store(1);
    crew_[i]->kill();
    crew_[i]->join();
    for (auto& place : board().sharing) at(place[i]).store(0);
    at(board().doomed[i]).store(0);
    start(victim);
  }
  bool join(steady_clock::time_point until) {
    at(board().stop).store(1);
    bool all = true;
    for (auto& process : crew_) {
      const auto left = std::max<steady_clock::duration>(until - steady_clock::now(), 0ms);
      all = process->join(left) && process->exitcode() == 0 && all;
    }
    return all;
  }

 private:
  void start(int number) {
    ProcessOptions options;
    options.daemon = true;
    options.start_method = random_() % 4 == 0 ? StartMethod::Fork : StartMethod::ForkServer;
    auto& place = crew_[static_cast<std::size_t>(number)];
    place = std::make_unique<Process>(options, run_worker, kernel_, number,
                                      static_cast<unsigned>(random_()), objects_, board_);
    place->start();
  }

  std::minstd_rand random_;
  Kernel kernel_;
  Value<Board> board_;
  Objects objects_;
  std::array<std::unique_ptr<Process>, workers> crew_;
};

std::chrono::seconds length(Kernel kernel) {
  if (const char* text = std::getenv("PROCESSION_SOAK_SECONDS")) {
    return std::chrono::seconds(std::atoi(text));
  }
  return test_support::under_asan || test_support::under_tsan || kernel == Kernel::OneWord ? 20s
                                                                                           : 60s;
}

void soak(Kernel kernel) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Crew crew(seed, kernel);
  std::minstd_rand random(seed);
  Board& board = crew.board();
  const auto end = steady_clock::now() + length(kernel);
  std::uint64_t kills = 0;
  std::array<std::uint64_t, workers> last{};
  std::array<steady_clock::time_point, workers> moved{};
  moved.fill(steady_clock::now());
  while (steady_clock::now() < end && at(board.complaints).load() == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2 + random() % 6));
    crew.kill_and_replace();
    ++kills;
    for (std::size_t i = 0; i < workers; ++i) {
      const std::uint64_t steps = at(board.steps[i]).load();
      if (steps != last[i]) moved[i] = steady_clock::now();
      last[i] = steps;
      ASSERT_LT(steady_clock::now() - moved[i], 20s) << "worker " << i << " hangs";
    }
  }
  EXPECT_TRUE(crew.join(steady_clock::now() + 20s)) << "a worker hangs";
  EXPECT_EQ(board.complaints, 0) << board.complaint.data();

  // Everything works on.
  const auto still_works = [](const auto& lock) {
    try {
      EXPECT_TRUE(lock.acquire(1s));
    } catch (const OwnerDied&) {
      EXPECT_TRUE(lock.recover());
    }
    lock.release();
    EXPECT_FALSE(lock.locked());
  };
  std::ranges::for_each(crew.objects().locks, still_works);
  std::ranges::for_each(crew.objects().passing, still_works);
  std::ranges::for_each(crew.objects().rlocks, still_works);
  still_works(crew.objects().under_condition);
  for (const RWLock& lock : crew.objects().rwlocks) {
    (void)lock.recover();
    lock.unlock();
    EXPECT_TRUE(lock.try_lock_shared());
    lock.unlock_shared();
  }
  crew.objects().barrier.reset();
  EXPECT_FALSE(crew.objects().barrier.broken());

  // All permits are there again, and no more.
  for (const BoundedSemaphore& semaphore : crew.objects().bounded) {
    EXPECT_TRUE(semaphore.acquire(1s) && semaphore.acquire(1s));
    EXPECT_FALSE(semaphore.try_acquire());
    semaphore.release();
    semaphore.release();
    EXPECT_THROW(semaphore.release(), StateError);
  }
  const Semaphore& semaphore = crew.objects().semaphore;
  EXPECT_TRUE(semaphore.acquire(1s) && semaphore.acquire(1s));
  EXPECT_FALSE(semaphore.try_acquire());
  std::uint64_t steps = 0, heard = 0;
  for (std::size_t i = 0; i < workers; ++i) {
    steps += board.steps[i];
    heard += board.heard_of_death[i];
  }
  std::cout << kills << " kills, " << steps << " operations, " << heard
            << " times told of a death, " << board.deadlocks << " deadlocks\n";
  EXPECT_GT(heard, 0u);
  EXPECT_GT(board.deadlocks, 0u);
}

TEST(SyncSoak, NothingHangsOrIsLostWhileProcessesAreKilled) { soak(Kernel::This); }
TEST(SyncSoak, NorOnAKernelThatWaitsForOneWord) { soak(Kernel::OneWord); }

}  // namespace
}  // namespace procession
