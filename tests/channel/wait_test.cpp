// Waits for several things: that each kind wakes, alone and among others, that nothing that is
// there is left lying because a wait was woken in place of a get, and that nothing stays behind.
#include "procession/wait.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "procession/errors.hpp"
#include "procession/pool.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"
#include "sync/sleeper.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test_support::Child;
using test_support::ChildStatus;
using test_support::run_child;
using test_support::start_child;
using Found = std::vector<std::size_t>;

constexpr ChildStatus success{0, 0};

// Whether all threads of the process sleep but the caller.
bool all_asleep(pid_t pid) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    if (task.path().filename() == std::to_string(::gettid())) continue;
    std::ifstream file(task.path() / "stat");
    std::string line;
    std::getline(file, line);
    const std::size_t at = line.rfind(") ");
    if (at == line.npos || line[at + 2] != 'S') return false;
  }
  return true;
}
void await_sleep(pid_t pid) {
  while (!all_asleep(pid)) std::this_thread::yield();
}

std::size_t thread_count() {
  return static_cast<std::size_t>(
      std::ranges::distance(std::filesystem::directory_iterator("/proc/self/task")));
}

// Threads that have been joined are seen for a moment longer. ThreadSanitizer starts one of its
// own.
bool threads_end(std::size_t before) {
  const test_support::Deadline deadline(20s);
  const std::size_t most = before + (test_support::under_tsan ? 1 : 0);
  while (thread_count() > most) {
    if (deadline.passed()) return false;
    std::this_thread::yield();
  }
  return true;
}

struct Eventfd {
  int fd = ::eventfd(0, EFD_CLOEXEC);
  ~Eventfd() { ::close(fd); }
  void set() const {
    const std::uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  }
};

int nothing() { return 7; }
int after(const Event& event) {
  event.wait();
  return 8;
}

// --- what is ready at once
// ------------------------------------------------------------------------

TEST(Wait, TellsWhichAreReadyAscending) {
  auto [mine, theirs] = Pipe();
  const Queue<int> queue;
  const JoinableQueue<int> joinable;
  const SimpleQueue<std::string> simple;
  const Event event;
  const Eventfd descriptor;
  EXPECT_EQ(wait(mine, queue, joinable, simple, event, descriptor.fd, 0s), Found{});
  queue.put(1);
  simple.put("x");
  descriptor.set();
  EXPECT_EQ(wait(mine, queue, joinable, simple, event, descriptor.fd, 0s), (Found{1, 3, 5}));
  EXPECT_EQ(wait(mine, queue, joinable, simple, event, descriptor.fd), (Found{1, 3, 5}));
  theirs.send(1);
  joinable.put(1);
  event.set();
  EXPECT_EQ(wait(mine, queue, joinable, simple, event, descriptor.fd), (Found{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(queue.size(), 1U) << "nothing is taken";
  EXPECT_EQ(mine.recv<int>(), 1);
}

TEST(Wait, WhatHasEndedIsReady) {
  auto [mine, theirs] = Pipe();
  const Queue<int> closed;
  const Queue<std::string> draining;
  draining.put("last");
  draining.close();
  closed.close();
  theirs.close();
  EXPECT_EQ(wait(mine, closed, draining), (Found{0, 1, 2}));
  EXPECT_EQ(draining.get(), "last");
  EXPECT_EQ(wait(draining), Found{0});
}

TEST(Wait, OfOneQueueIsNoWaitForItsItems) {
  const Queue<int> queue;
  queue.put(5);
  EXPECT_EQ(wait(queue), Found{0});
  EXPECT_EQ(wait(queue, 1s), Found{0});
  EXPECT_EQ(queue.get(), 5);
}

TEST(Wait, ProcessesAndResults) {
  const Event go;
  Process ended([] {}), running([go] { go.wait(); });
  ended.start();
  running.start();
  ended.join();
  PoolOptions options;
  options.processes = 2;
  Pool pool(options);
  auto slow = pool.apply_async(after, go);
  auto fast = pool.apply_async(nothing);
  fast.wait();
  EXPECT_EQ(wait(running, ended, slow, fast), (Found{1, 3}));
  EXPECT_EQ(wait(running, slow, 1ms), Found{});
  go.set();
  EXPECT_EQ(wait(slow), Found{0});
  EXPECT_EQ(slow.get(), 8);
  EXPECT_EQ(wait(running), Found{0});
  running.join();
}

TEST(Wait, TakesRangesOfAllKinds) {
  std::vector<Queue<int>> queues(5);
  queues[3].put(1);
  EXPECT_EQ(wait(queues), Found{3});
  EXPECT_EQ(wait(queues | std::views::drop(2), 1s), Found{1});
  const std::array<Event, 2> events;
  EXPECT_EQ(wait(events, 0s), Found{});
  EXPECT_EQ(wait({events[0], events[1]}, 0s), Found{});
  const Eventfd first, second;
  second.set();
  EXPECT_EQ(wait({first.fd, second.fd}), Found{1});
  EXPECT_EQ(wait({queues[0], queues[3]}), Found{1});
  EXPECT_EQ(wait(std::vector<int>{first.fd, second.fd}), Found{1});
  // Elements that are made as the range is walked.
  EXPECT_EQ(wait(std::views::iota(0, 5) |
                 std::views::transform([&](int i) { return queues[static_cast<std::size_t>(i)]; })),
            Found{3});
  const std::vector<std::reference_wrapper<const Queue<int>>> references(queues.begin(),
                                                                         queues.end());
  EXPECT_EQ(wait(references), Found{3});
  std::vector<std::variant<Event, Queue<int>, int>> mixed{events[0], queues[3], second.fd};
  EXPECT_EQ(wait(mixed), (Found{1, 2}));
  std::vector<Process> processes;
  for (int i = 0; i < 3; ++i) processes.emplace_back([] {}).start();
  while (wait(processes).size() < 3) {
  }
  for (Process& process : processes) process.join();
}

TEST(Wait, TheSameTwiceIsReadyTwice) {
  const Event event;
  const Queue<int> queue;
  queue.put(1);
  EXPECT_EQ(wait(queue, event, queue), (Found{0, 2}));
}

// --- limits and errors
// ----------------------------------------------------------------------------

TEST(Wait, KeepsItsLimit) {
  const Queue<int> queue;
  const Eventfd descriptor;
  const auto takes_its_time = [](const std::function<Found()>& body) {
    const auto begin = steady_clock::now();
    EXPECT_EQ(body(), Found{});
    EXPECT_GE(steady_clock::now() - begin, 20ms);
  };
  takes_its_time([&] { return wait(queue, 20ms); });
  takes_its_time([&] { return wait(descriptor.fd, 20ms); });
  takes_its_time([&] { return wait(descriptor.fd, queue, 20ms); });
  takes_its_time([&] { return wait(std::vector<int>(), 20ms); });
  EXPECT_EQ(wait(queue, descriptor.fd, -1h), Found{});
  EXPECT_EQ(wait(std::vector<Event>(), 0ms), Found{});
}

TEST(Wait, BadThingsAreRefused) {
  auto [receives, sends] = Pipe(false);
  EXPECT_THROW((void)wait(sends, 0s), StateError);
  receives.close();
  EXPECT_THROW((void)wait(receives, 0s), StateError);
  Queue<int> queue;
  const Queue<int> other = std::move(queue);
  EXPECT_THROW((void)wait(other, queue, 0s), StateError);  // NOLINT(bugprone-use-after-move)
  Process never([] {});
  EXPECT_THROW((void)wait(never, 0s), StateError);
  EXPECT_THROW((void)wait(-1, 0s), std::invalid_argument);
  int unused = 0;
  {
    const Eventfd gone;
    unused = gone.fd;
  }
  EXPECT_THROW((void)wait(unused, 1s), std::invalid_argument);
  EXPECT_THROW((void)wait(std::vector<Event>()), std::invalid_argument);
}

TEST(Wait, SignalsDoNotInterruptIt) {
  struct sigaction action {
  }, before{};
  static std::atomic<int> handled;
  handled = 0;
  action.sa_handler = [](int) { handled.fetch_add(1); };
  sigaction(SIGUSR1, &action, &before);
  const Queue<int> queue;
  const Eventfd descriptor;
  const Event again;
  for (const int round : {0, 1, 2}) {
    Child child = start_child([&] {
      Found found;
      if (round == 0) found = wait(queue);
      if (round == 1) found = wait(descriptor.fd);
      if (round == 2) found = wait(queue, descriptor.fd);
      EXPECT_EQ(found, Found{0});
      EXPECT_GE(handled.load(), 1);
      (void)queue.try_get();
    });
    await_sleep(child.pid());
    child.kill(SIGUSR1);
    await_sleep(child.pid());
    if (round == 1) {
      descriptor.set();
    } else {
      queue.put(1);
    }
    EXPECT_EQ(child.wait(), success);
    if (round == 1) {
      std::uint64_t count = 0;
      (void)!::read(descriptor.fd, &count, sizeof count);
    }
  }
  sigaction(SIGUSR1, &before, nullptr);
}

// --- wake-ups
// -------------------------------------------------------------------------------------

// Everything there is to wait for, and what makes each ready. In a child that sleeps.
struct Everything {
  std::pair<Connection, Connection> pipe = Pipe();
  Queue<int> queue;
  Queue<std::string> closing;
  Event event;
  Event flashed;
  Eventfd descriptor;
  Event process_may_end;

  // In the waiting process, as it alone has them.
  void expect(std::size_t which, bool only_one) {
    Process process([](const Event& may_end) { may_end.wait(); }, process_may_end);
    process.start();
    PoolOptions options;
    options.processes = 1;
    Pool pool(options);
    auto result = pool.apply_async(after, process_may_end);
    const std::size_t threads = thread_count();
    waits.set();
    Found found;
    if (!only_one) {
      found = wait(pipe.first, queue, closing, event, flashed, descriptor.fd, process, result);
    } else {
      const std::array<std::function<Found()>, 8> one{
          [&] { return wait(pipe.first); }, [&] { return wait(queue); },
          [&] { return wait(closing); },    [&] { return wait(event); },
          [&] { return wait(flashed); },    [&] { return wait(descriptor.fd); },
          [&] { return wait(process); },    [&] { return wait(result); }};
      found = one[which]();
    }
    if (only_one) {
      EXPECT_EQ(found, Found{0});
    } else if (which < 6) {
      EXPECT_EQ(found, Found{which});
    } else {  // both may have ended by then
      EXPECT_FALSE(found.empty());
      for (const std::size_t each : found) EXPECT_GE(each, 6U);
    }
    EXPECT_TRUE(threads_end(threads));
    process_may_end.set();
    EXPECT_EQ(result.get(), 8);
    process.join();
  }
  void make_ready(std::size_t which) const {
    switch (which) {
      case 0:
        return pipe.second.send(1);
      case 1:
        return queue.put(1);
      case 2:
        return closing.close();
      case 3:
        return event.set();
      case 4:
        flashed.set();
        return flashed.clear();
      case 5:
        return descriptor.set();
      default:
        return process_may_end.set();
    }
  }
  Event waits;
};

TEST(Wait, EachKindWakesAloneAndAmongAll) {
  for (std::size_t which = 0; which < 8; ++which) {
    for (const bool alone : {true, false}) {
      SCOPED_TRACE(std::to_string(which) + (alone ? " alone" : " among all"));
      Everything all;
      Child child = start_child([&] { all.expect(which, alone); });
      all.waits.wait();
      await_sleep(child.pid());
      all.make_ready(which);
      EXPECT_EQ(child.wait(), success);
    }
  }
}

TEST(Wait, ThePeersDeathWakes) {
  auto ends = Pipe();
  Child peer = start_child([&] { pause(); });
  ends.second.close();
  std::atomic<bool> over{false};
  std::thread killer([&] {
    await_sleep(peer.pid());
    peer.kill();
  });
  EXPECT_EQ(wait(ends.first), Found{0});
  EXPECT_THROW((void)ends.first.recv<int>(), ConnectionClosed);
  killer.join();
  (void)peer.wait();
}

// More words than one sleep has room for.
TEST(Wait, OneOfManyWakes) {
  std::vector<Event> events(100);
  const Eventfd descriptor;
  for (const std::size_t which : {std::size_t{0}, std::size_t{29}, std::size_t{30}, std::size_t{31},
                                  std::size_t{64}, std::size_t{99}}) {
    Child child = start_child([&] {
      const std::size_t threads = thread_count();
      EXPECT_EQ(wait(events), Found{which});
      std::vector<std::variant<Event, int>> all(events.begin(), events.end());
      all.emplace_back(descriptor.fd);
      EXPECT_EQ(wait(all), Found{which});
      events[which].clear();
      EXPECT_EQ(wait(all, 1ms), Found{});
      EXPECT_TRUE(threads_end(threads));
    });
    await_sleep(child.pid());
    events[which].set();
    EXPECT_EQ(child.wait(), success);
  }
}

// --- among those who take ---------------------------------------------------------------------

// The one who is woken for an item is not the one who takes it.
TEST(Wait, WhoOnlyWaitsPassesTheWakeUpOn) {
  for (int i = 0; i < 30; ++i) {
    const Queue<int> queue;
    const Eventfd never;
    const auto waits = [&](int kind) {
      return start_child([&, kind] {
        EXPECT_EQ(kind == 0 ? wait(queue) : wait(queue, never.fd), Found{0});
        pause();
      });
    };
    Child first = waits(i % 2), second = waits(i / 2 % 2);
    await_sleep(first.pid());
    await_sleep(second.pid());
    Child taker = start_child([&] { EXPECT_EQ(queue.get(), 5); });
    await_sleep(taker.pid());
    queue.put(5);
    EXPECT_EQ(taker.wait(), success);
  }
}

// Asleep, awake or just in between: who is killed in a wait takes no wake-up with it.
TEST(Wait, WhoIsKilledTakesNoWakeUpWithIt) {
  for (int i = 0; i < 60; ++i) {
    const Queue<int> queue;
    Child waiter = start_child([&] {
      for (;;) (void)wait(queue);
    });
    await_sleep(waiter.pid());
    Child taker = start_child([&] { EXPECT_EQ(queue.get(), 5); });
    await_sleep(taker.pid());
    if (i % 2 == 0) waiter.kill();
    queue.put(5);
    if (i % 2 != 0) waiter.kill();
    EXPECT_EQ(taker.wait(), success);
  }
}

TEST(Wait, InOtherProcessesHoweverTheyWereStarted) {
  for (const StartMethod method : get_all_start_methods()) {
    ProcessOptions options;
    options.start_method = method;
    auto ends = Pipe();
    const Queue<long> queue;
    const Event stop;
    Process worker(
        options,
        [](const Connection& connection, const Queue<long>& items, const Event& end) {
          long sum = 0;
          for (;;) {
            const auto ready = wait(connection, items, end);
            for (const std::size_t each : ready) {
              if (each == 0) sum += connection.recv<long>();
              if (each == 1) sum += items.get();
            }
            if (ready == Found{2}) return connection.send(sum);
          }
        },
        ends.second, queue, stop);
    worker.start();
    for (long i = 0; i < 50; ++i) {
      ends.first.send(i);
      queue.put(1000 * i);
    }
    stop.set();
    EXPECT_EQ(ends.first.recv<long>(), 1225 * 1001);
    worker.join();
    EXPECT_EQ(worker.exitcode(), 0);
  }
}

TEST(Wait, OnAnOldKernel) {
  EXPECT_EQ(run_child([] {
              detail::pretend_single_word_kernel();
              for (std::size_t which = 0; which < 8; ++which) {
                Everything all;
                std::thread waiter([&] {
                  const std::size_t threads = thread_count();
                  Found found = wait(all.pipe.first, all.queue, all.closing, all.event, all.flashed,
                                     all.descriptor.fd);
                  EXPECT_EQ(found, Found{which % 6});
                  // The two that listen to the family's bell stay.
                  EXPECT_TRUE(threads_end(threads + 2));
                });
                await_sleep(getpid());
                all.make_ready(which % 6);
                waiter.join();
              }
              const Queue<int> queue;
              EXPECT_EQ(wait(queue, 1ms), Found{});
              Child putter = start_child([&] { queue.put(1); });
              EXPECT_EQ(wait(queue), Found{0});
              EXPECT_EQ(putter.wait(), success);
            }),
            success);
}

}  // namespace
}  // namespace procession
