#include "floors/echo.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>

#include "measure.hpp"

namespace bench::floors {

namespace {

using Word = std::atomic<std::uint32_t>;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

void set(Word& word, std::uint32_t value, Echo::Wait wait) {
  word.store(value, std::memory_order_release);
  if (wait == Echo::Wait::Sleep) ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

// Until the word is no longer `old`.
std::uint32_t wait_for_other(Word& word, std::uint32_t old, Echo::Wait wait) {
  for (;;) {
    std::uint32_t value = word.load(std::memory_order_acquire);
    if (value != old) return value;
    if (wait == Echo::Wait::Sleep) {
      ::syscall(SYS_futex, &word, FUTEX_WAIT, old, nullptr, nullptr, 0);
    } else {
      relax();
    }
  }
}

}  // namespace

struct Echo::Words {
  alignas(128) Word ping{0};
  alignas(128) Word pong{0};
};

Echo::Echo(Wait wait) : wait_(wait) {
  void* page =
      ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  words_ = new (page) Words;
  pid_ = ::_Fork();
  if (pid_ == 0) answer();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
}

Echo::~Echo() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::munmap(words_, sizeof(Words));
}

void Echo::answer() const {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (std::uint32_t last = 0;;) {
    last = wait_for_other(words_->ping, last, wait_);
    set(words_->pong, last, wait_);
  }
}

double Echo::round_trips(std::uint32_t count) {
  double seconds = seconds_of([&] {
    std::uint32_t last = words_->pong.load();
    for (std::uint32_t i = 0; i < count; ++i) {
      set(words_->ping, last + 1, wait_);
      last = wait_for_other(words_->pong, last, wait_);
    }
  });
  return seconds / count;
}

}  // namespace bench::floors
