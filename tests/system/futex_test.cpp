#include "system/futex.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include "procession/errors.hpp"
#include "system_test.hpp"

namespace procession::detail {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
using Word = std::atomic<std::uint32_t>;
using FutexTest = SystemTest;

constexpr std::size_t shared_words = 4;

struct SharedWords {
  SharedWords()
      : words(
            static_cast<Word*>(::mmap(nullptr, sizeof(Word) * shared_words, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    for (std::size_t i = 0; i < shared_words; ++i) new (&words[i]) Word(0);
  }
  ~SharedWords() { ::munmap(words, sizeof(Word) * shared_words); }
  SharedWords(const SharedWords&) = delete;
  SharedWords& operator=(const SharedWords&) = delete;
  Word* words;
};

TEST_F(FutexTest, AChangedWordDoesNotSleep) {
  const Word word = 1;
  EXPECT_EQ(futex_wait(word, 0), WaitResult::Woken);
}

TEST_F(FutexTest, DeadlinesAreHonouredAlsoThoseInThePast) {
  const Word word = 0;
  const auto start = steady_clock::now();
  EXPECT_EQ(futex_wait(word, 0, start + 20ms), WaitResult::TimedOut);
  EXPECT_GE(steady_clock::now() - start, 20ms);
  EXPECT_EQ(futex_wait(word, 0, start - 1h), WaitResult::TimedOut);
  EXPECT_EQ(futex_wait(word, 0, steady_clock::time_point::min()), WaitResult::TimedOut);
  EXPECT_EQ(futex_wait(word, 1, steady_clock::time_point::max()), WaitResult::Woken);
}

TEST_F(FutexTest, AnotherProcessWakesTheSleeper) {
  SharedWords shared;
  Word& ping = shared.words[0];
  Word& pong = shared.words[1];
  constexpr std::uint32_t rounds = 200;
  TestChild child([&] {
    for (std::uint32_t i = 0; i < rounds; ++i) {
      while (ping.load() == i) futex_wait(ping, i);
      pong.store(i + 1);
      futex_wake(pong, 1);
    }
    return 0;
  });
  for (std::uint32_t i = 0; i < rounds; ++i) {
    ping.store(i + 1);
    futex_wake(ping, 1);
    while (pong.load() == i) futex_wait(pong, i);
  }
  EXPECT_EQ(child.exitcode(), 0);
}

TEST_F(FutexTest, ASignalHandlerDoesNotEndAWaitOrMoveItsDeadline) {
  struct sigaction act {
  }, old{};
  act.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &act, &old);
  const pid_t self = ::getpid();
  Bytes started;
  TestChild child([&] {
    started.receive();
    for (int i = 0; i < 50; ++i) ::kill(self, SIGUSR1);
    return 0;
  });
  const Word word = 0;
  const auto deadline = steady_clock::now() + 50ms;
  started.send();
  EXPECT_EQ(futex_wait(word, 0, deadline), WaitResult::TimedOut);
  EXPECT_GE(steady_clock::now(), deadline);
  EXPECT_EQ(child.exitcode(), 0);
  ::sigaction(SIGUSR1, &old, nullptr);
}

TEST_F(FutexTest, UnmappedWordsAreAnErrorForSleepersAndNobodyForWakers) {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ::munmap(page, 4096);
  const auto* gone = static_cast<const Word*>(page);
  EXPECT_THROW(futex_wait(*gone, 0), SystemError);
  EXPECT_EQ(futex_wake(*gone, 1), 0);
}

TEST_F(FutexTest, WaitAnyIsWokenThroughAnyOfItsWords) {
  if (!have_futex_waitv()) GTEST_SKIP() << "this kernel has no futex_waitv";
  SharedWords shared;
  for (std::size_t chosen = 0; chosen < 3; ++chosen) {
    Word& ready = shared.words[3];
    ready.store(0);
    TestChild child([&] {
      while (ready.load() == 0) futex_wait(ready, 0);
      shared.words[chosen].store(1);
      futex_wake(shared.words[chosen], 1);
      return 0;
    });
    ready.store(1);
    futex_wake(ready, 1);
    const std::array<WaitWord, 3> words{
        {{&shared.words[0], 0}, {&shared.words[1], 0}, {&shared.words[2], 0}}};
    while (shared.words[chosen].load() == 0) {
      EXPECT_EQ(futex_wait_any(words), WaitResult::Woken);
    }
    shared.words[chosen].store(0);
    EXPECT_EQ(child.exitcode(), 0);
  }
}

TEST_F(FutexTest, WaitAnyHonoursDeadlinesAndChangedWords) {
  const Word first = 0;
  const Word second = 5;
  const std::array<WaitWord, 1> one{{{&first, 0}}};
  EXPECT_EQ(futex_wait_any(one, steady_clock::now() + 10ms), WaitResult::TimedOut);
  if (!have_futex_waitv()) GTEST_SKIP() << "this kernel has no futex_waitv";
  const std::array<WaitWord, 2> same{{{&first, 0}, {&second, 5}}};
  const std::array<WaitWord, 2> changed{{{&first, 0}, {&second, 6}}};
  const auto start = steady_clock::now();
  EXPECT_EQ(futex_wait_any(same, start + 20ms), WaitResult::TimedOut);
  EXPECT_GE(steady_clock::now() - start, 20ms);
  EXPECT_EQ(futex_wait_any(same, start - 1h), WaitResult::TimedOut);
  EXPECT_EQ(futex_wait_any(changed), WaitResult::Woken);
}

TEST_F(FutexTest, WaitAnyRefusesListsTheKernelCannotTake) {
  const Word word = 0;
  const std::vector<WaitWord> too_many(max_wait_words + 1, WaitWord{&word, 0});
  EXPECT_THROW(futex_wait_any(too_many), SystemError);
  EXPECT_THROW(futex_wait_any({}), SystemError);
}

}  // namespace
}  // namespace procession::detail
