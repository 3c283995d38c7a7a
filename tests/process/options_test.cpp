// Environment, affinity, limits.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

class ProcessEnvironment : public EachMethod {};
class ProcessAffinity : public EachMethod {};
class ProcessLimits : public EachMethod {};
FOR_EACH_START_METHOD(ProcessEnvironment);
FOR_EACH_START_METHOD(ProcessAffinity);
FOR_EACH_START_METHOD(ProcessLimits);

constexpr std::size_t mebibyte = std::size_t{1} << 20;

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "(none)" : value;
}

std::vector<int> affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void set_affinity(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

std::string printed(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += std::to_string(number) + " ";
  return text;
}

void post_affinity(std::string mailbox) { post(mailbox, printed(affinity())); }

TEST_P(ProcessEnvironment, IsAddedToTheChildsAlone) {
  Mailbox mailbox;
  ProcessOptions coloured = options();
  coloured.environment = {{"PROCESSION_TEST_COLOUR", "blue"}, {"PROCESSION_TEST_EMPTY", ""}};
  Process process(
      coloured,
      [](std::string to) {
        post(to, variable("PROCESSION_TEST_COLOUR"));
        post(to, variable("PROCESSION_TEST_EMPTY"));
        post(to, variable("PATH"));
      },
      mailbox.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "blue");
  EXPECT_EQ(mailbox.receive(), "");
  EXPECT_EQ(mailbox.receive(), variable("PATH"));
  EXPECT_EQ(exitcode_of(process), 0);
  EXPECT_EQ(variable("PROCESSION_TEST_COLOUR"), "(none)");
}

TEST_P(ProcessEnvironment, ReplacesWhatIsThere) {
  Mailbox mailbox;
  ProcessOptions elsewhere = options();
  elsewhere.environment = {{"HOME", "/nowhere"}};
  Process process(
      elsewhere, [](std::string to) { post(to, variable("HOME")); }, mailbox.path());
  process.start();
  EXPECT_EQ(mailbox.receive(), "/nowhere");
  EXPECT_EQ(exitcode_of(process), 0);
  EXPECT_NE(variable("HOME"), "/nowhere");
}

TEST_P(ProcessEnvironment, OfOneChildIsNotTheNextOnes) {
  ProcessOptions coloured = options();
  coloured.environment = {{"PROCESSION_TEST_COLOUR", "blue"}};
  Process first(coloured, [] {});
  EXPECT_EQ(run(first), 0);
  Mailbox mailbox;
  Process second(
      options(), [](std::string to) { post(to, variable("PROCESSION_TEST_COLOUR")); },
      mailbox.path());
  second.start();
  EXPECT_EQ(mailbox.receive(), "(none)");
  EXPECT_EQ(exitcode_of(second), 0);
}

TEST_P(ProcessAffinity, IsTheGivenOne) {
  const std::vector<int> allowed = affinity();
  for (const int cpu : allowed) {
    Mailbox mailbox;
    ProcessOptions pinned = options();
    pinned.cpus = {cpu};
    Process process(pinned, post_affinity, mailbox.path());
    process.start();
    EXPECT_EQ(mailbox.receive(), printed({cpu}));
    EXPECT_EQ(exitcode_of(process), 0);
  }
  EXPECT_EQ(affinity(), allowed);
}

TEST_P(ProcessAffinity, IsTheCallersUnlessGiven) {
  const std::vector<int> allowed = affinity();
  if (allowed.size() < 2) GTEST_SKIP() << "there is one cpu";
  for (const std::vector<int>& mine : {allowed, {allowed.back()}, allowed}) {
    set_affinity(mine);
    Mailbox mailbox;
    Process process(options(), post_affinity, mailbox.path());
    process.start();
    EXPECT_EQ(mailbox.receive(), printed(mine));
    EXPECT_EQ(exitcode_of(process), 0);
  }
  set_affinity(allowed);
}

TEST_P(ProcessLimits, MemoryBeyondTheLimitIsBadAlloc) {
  if (test_support::under_asan || test_support::under_tsan) GTEST_SKIP() << "shadow memory";
  ProcessOptions limited = options();
  limited.limits.memory = 256 * mebibyte;
  Process process(limited, [] {
    const std::vector<char> fits(64 * mebibyte);
    try {
      const std::vector<char> too_large(512 * mebibyte);
      std::exit(too_large.at(9) + 1);
    } catch (const std::bad_alloc&) {
      std::exit(fits.at(9) + 42);
    }
  });
  EXPECT_EQ(run(process), 42);
  const std::vector<char> here(512 * mebibyte);  // the parent is not limited
}

TEST_P(ProcessLimits, ProcessorTimeBeyondTheLimitEndsIt) {
  ProcessOptions limited = options();
  limited.limits.cpu_time = 1s;
  limited.limits.core_dump = 0;
  Process process(limited, spin);
  EXPECT_EQ(run(process), -SIGXCPU);
}

TEST_P(ProcessLimits, DescriptorsBeyondTheLimitAreRefused) {
  ProcessOptions limited = options();
  limited.limits.open_files = 32;
  Process process(limited, [] {
    std::vector<int> opened;
    while (opened.size() < 100) {
      const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (file < 0) break;
      opened.push_back(file);
    }
    const bool refused = errno == EMFILE && opened.size() <= 32;
    // At the exit LeakSanitizer needs one itself.
    for (const int file : opened) ::close(file);
    std::exit(refused ? 42 : 43);
  });
  EXPECT_EQ(run(process), 42);
}

TEST_P(ProcessLimits, CoreFilesCanBeForbidden) {
  ProcessOptions limited = options();
  limited.limits.core_dump = 0;
  Process process(limited, [] {
    rlimit core{};
    ::getrlimit(RLIMIT_CORE, &core);
    std::exit(core.rlim_cur == 0 ? 42 : 43);
  });
  EXPECT_EQ(run(process), 42);
}

TEST_P(ProcessLimits, OfOneChildAreNotTheNextOnes) {
  ProcessOptions limited = options();
  limited.limits.open_files = 32;
  Process first(limited, [] {});
  EXPECT_EQ(run(first), 0);
  Process second(options(), [] {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    std::exit(files.rlim_cur == 32 ? 43 : 42);
  });
  EXPECT_EQ(run(second), 42);
}

TEST_P(ProcessLimits, HoldForGrandchildrenToo) {
  ProcessOptions limited = options();
  limited.limits.open_files = 64;
  Process process(
      limited,
      [](StartMethod method) {
        Process inner({.start_method = method}, [] {
          rlimit files{};
          ::getrlimit(RLIMIT_NOFILE, &files);
          std::exit(static_cast<int>(files.rlim_cur));
        });
        inner.start();
        inner.join();
        std::exit(inner.exitcode().value());
      },
      GetParam());
  EXPECT_EQ(run(process), 64);
}

}  // namespace
}  // namespace procession::process_test
