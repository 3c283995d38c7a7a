// Rows 17 and 18: a lock nobody else wants, and one that another process wants all the time.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <procession/procession.hpp>
#include <system_error>

#include "floors/shared_mutex.hpp"
#include "floors/shared_sync.hpp"
#include "rows.hpp"

namespace mp = procession;

namespace bench {

namespace {

template <class Lock>
void lock_often(Lock& lock, std::size_t rounds) {
  for (std::size_t i = 0; i < rounds; ++i) {
    lock.lock();
    lock.unlock();
  }
}

// Both processes begin at one moment, and the time ends when both are done.
class Race {
 public:
  Race() {
    void* page =
        ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    words_ = new (page) Words;
  }
  ~Race() { ::munmap(words_, sizeof(Words)); }
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  // In the other process.
  template <class Body>
  void follow(Body&& body) const {
    words_->here.store(1);
    until(words_->go);
    body();
    words_->done.store(1);
  }

  // Here, while the other is in follow(). Seconds.
  template <class Body>
  double lead(Body&& body) const {
    until(words_->here);
    return seconds_of([&] {
      words_->go.store(1);
      body();
      until(words_->done);
    });
  }

 private:
  using Word = std::atomic<std::uint32_t>;
  struct Words {
    alignas(128) Word here{0};
    alignas(128) Word go{0};
    alignas(128) Word done{0};
  };
  static void until(const Word& word) {
    while (word.load() == 0) {
    }
  }
  Words* words_;
};

// Acquires per second of this process and another.
double contend(const mp::Lock& lock, std::size_t rounds) {
  Race race;
  mp::ProcessOptions options;
  options.start_method = mp::StartMethod::Fork;
  mp::Process other(options, [&] { race.follow([&] { lock_often(lock, rounds); }); });
  other.start();
  double seconds = race.lead([&] { lock_often(lock, rounds); });
  other.join();
  return 2 * static_cast<double>(rounds) / seconds;
}

double contend(floors::SharedMutex& mutex, std::size_t rounds) {
  Race race;
  pid_t other = ::_Fork();
  if (other == 0) {
    race.follow([&] { lock_often(mutex, rounds); });
    ::_exit(0);
  }
  if (other < 0) throw std::system_error(errno, std::generic_category(), "fork");
  double seconds = race.lead([&] { lock_often(mutex, rounds); });
  ::waitpid(other, nullptr, 0);
  return 2 * static_cast<double>(rounds) / seconds;
}

template <class Lock>
double seconds_each(Lock& lock, std::size_t rounds) {
  return seconds_of([&] { lock_often(lock, rounds); }) / static_cast<double>(rounds);
}

// Other primitives as a lock.
struct Shared {
  mp::RWLock lock_;
  void lock() { lock_.lock_shared(); }
  void unlock() { lock_.unlock_shared(); }
};
struct Counted {
  mp::Semaphore semaphore;
  void lock() { semaphore.acquire(); }
  void unlock() { semaphore.release(); }
};

template <class Ours, class Theirs>
Row uncontended(const Settings& settings, const char* what, Ours& ours, const char* against,
                Theirs& theirs) {
  Row row{.number = 17, .what = what, .against = against, .target = {false, 1.3, "<= 1.3 x"}};
  std::size_t rounds = settings.items(2'000'000);
  compare(
      row, settings.repeats(), [&] { return seconds_each(ours, rounds); },
      [&] { return seconds_each(theirs, rounds); });
  return row;
}

Row event_uncontended(const Settings& settings) {
  Row row{.number = 17,
          .what = "Event set + wait + clear",
          .against = "flag, pthread mutex, condition",
          .target = {false, 1.3, "<= 1.3 x"}};
  mp::Event event;
  floors::SharedFlag flag;
  std::size_t rounds = settings.items(2'000'000);
  const auto often = [rounds](auto& one) {
    return seconds_of([&] {
             for (std::size_t i = 0; i < rounds; ++i) {
               one.set();
               one.wait();
               one.clear();
             }
           }) /
           static_cast<double>(rounds);
  };
  compare(
      row, settings.repeats(), [&] { return often(event); }, [&] { return often(flag); });
  return row;
}

}  // namespace

Rows lock_uncontended(const Settings& settings) {
  mp::Lock lock;
  floors::SharedMutex mutex;
  mp::RLock rlock;
  floors::SharedRecursiveMutex recursive;
  Shared rwlock;
  floors::SharedReadLock read_lock;
  mp::RWLock written;
  written.lock_shared();  // so that it has readers to look for
  written.unlock_shared();
  floors::SharedRWLock write_lock;
  Counted semaphore;
  floors::SharedSemaphore posix_semaphore(1);
  return {
      uncontended(settings, "Lock acquire + release, uncontended", lock,
                  "pthread mutex, process-shared", mutex),
      uncontended(settings, "RLock acquire + release, uncontended", rlock,
                  "recursive pthread mutex", recursive),
      uncontended(settings, "RWLock shared acquire + release", rwlock,
                  "pthread rwlock, for reading", read_lock),
      uncontended(settings, "RWLock acquire + release", written, "pthread rwlock, for writing",
                  write_lock),
      uncontended(settings, "Semaphore acquire + release", semaphore, "sem_wait + sem_post",
                  posix_semaphore),
      event_uncontended(settings),
  };
}

Rows lock_contended(const Settings& settings) {
  Row row{.number = 18,
          .what = "Lock, 2 processes contending",
          .unit = Unit::PerSecond,
          .against = "pthread mutex, process-shared",
          .target = {true, 0.8, ">= 0.8 x"}};
  mp::Lock lock;
  floors::SharedMutex mutex;
  std::size_t rounds = settings.items(2'000'000);
  compare(
      row, settings.repeats(), [&] { return contend(lock, rounds); },
      [&] { return contend(mutex, rounds); });
  return {row};
}

}  // namespace bench
