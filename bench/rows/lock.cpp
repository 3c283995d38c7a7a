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

}  // namespace

Rows lock_uncontended(const Settings& settings) {
  Row row{.number = 17,
          .what = "Lock acquire + release, uncontended",
          .against = "pthread mutex, process-shared",
          .target = {false, 1.3, "<= 1.3 x"}};
  mp::Lock lock;
  floors::SharedMutex mutex;
  std::size_t rounds = settings.items(2'000'000);
  compare(
      row, settings.repeats(), [&] { return seconds_each(lock, rounds); },
      [&] { return seconds_each(mutex, rounds); });
  return {row};
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
