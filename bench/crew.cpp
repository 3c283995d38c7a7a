#include "crew.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

#include "measure.hpp"

namespace bench {

namespace {

struct Words {
  alignas(128) std::atomic<std::size_t> ready{0};
  alignas(128) std::atomic<std::uint32_t> go{0};
  alignas(128) std::atomic<std::size_t> done{0};
};

// They yield: there may be more of them than CPUs.
template <class Condition>
void until(Condition condition) {
  while (!condition()) ::usleep(50);
}

[[noreturn]] void run(Words& words, const std::function<void()>& body) {
  try {
    words.ready.fetch_add(1);
    until([&] { return words.go.load() != 0; });
    body();
    words.done.fetch_add(1);
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

double seconds_of_crew(const std::vector<std::function<void()>>& bodies) {
  void* page =
      ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  auto& words = *new (page) Words;
  std::vector<pid_t> children;
  for (const auto& body : bodies) {
    const pid_t child = ::fork();
    if (child == 0) run(words, body);
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    children.push_back(child);
  }
  until([&] { return words.ready.load() == bodies.size(); });
  bool all_well = true;
  const double seconds = seconds_of([&] {
    words.go.store(1);
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      all_well = all_well && status == 0;
    }
  });
  ::munmap(page, sizeof(Words));
  if (!all_well) throw std::runtime_error("a process of the crew failed");
  return seconds;
}

}  // namespace bench
