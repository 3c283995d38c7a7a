#include "pool/supervisor.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "system/descriptor.hpp"
#include "system/errors.hpp"

namespace procession::detail {

struct Supervisor::State {
  struct Watch {
    int descriptor;  // -1: a time
    std::chrono::steady_clock::time_point time;
    std::function<void()> call;
  };

  std::mutex mutex;
  std::condition_variable idle;  // no callback is running, or the thread has ended
  std::map<Id, Watch> watches;
  Id next = 1;
  Id running = 0;
  bool stopping = false;  // until the thread has ended and its descriptors are closed
  std::thread thread;
  Descriptor epoll, wake;

  void start(std::unique_lock<std::mutex>& lock);
  void stop(std::unique_lock<std::mutex>& lock);
  void loop();
  void poke() const {
    const std::uint64_t one = 1;
    (void)!write(wake.get(), &one, sizeof one);
  }
  int timeout_ms();
  void call(Id id);
  void call_due();
};

namespace {

Supervisor::State* made = nullptr;
std::mutex making;

}  // namespace

Supervisor& Supervisor::instance() {
  static Supervisor the;
  return the;
}

Supervisor::State& Supervisor::state() const {
  std::lock_guard guard(making);
  if (made == nullptr) {
    static const bool registered = [] {
      // In a forked child there is no such thread.
      pthread_atfork([] { making.lock(); }, [] { making.unlock(); },
                     [] {
                       if (made != nullptr) {
                         made->epoll.reset();
                         made->wake.reset();
                         made = nullptr;  // its memory stays: its thread is not ours
                       }
                       making.unlock();
                     });
      return true;
    }();
    (void)registered;
    made = new State;
  }
  return *made;
}

// A thread that is being stopped is waited for: it reads the descriptors and `stopping` until its
// end. Never by itself, because nothing is watched while it is stopped, so that it calls nobody.
void Supervisor::State::start(std::unique_lock<std::mutex>& lock) {
  idle.wait(lock, [this] { return !stopping; });
  if (thread.joinable()) return;
  epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  wake.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  if (!epoll || !wake || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    throw_system_error(errno, "watch workers");
  }
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw_system_error(error.code().value(), "start the thread that watches workers");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Supervisor::State::stop(std::unique_lock<std::mutex>& lock) {
  if (!thread.joinable() || thread.get_id() == std::this_thread::get_id()) return;
  stopping = true;  // and not joinable any more: nobody else stops it
  poke();
  std::thread ending = std::move(thread);
  lock.unlock();
  ending.join();
  lock.lock();
  epoll.reset();
  wake.reset();
  stopping = false;
  idle.notify_all();
}

int Supervisor::State::timeout_ms() {
  std::lock_guard guard(mutex);
  std::optional<std::chrono::steady_clock::time_point> first;
  for (const auto& [id, watch] : watches) {
    if (watch.descriptor < 0 && (!first || watch.time < *first)) first = watch.time;
  }
  if (!first) return -1;
  const auto left = *first - std::chrono::steady_clock::now();
  if (left.count() <= 0) return 0;
  return static_cast<int>(
      std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 60'000));
}

void Supervisor::State::call(Id id) {
  std::function<void()> work;
  {
    std::lock_guard guard(mutex);
    const auto at = watches.find(id);
    if (at == watches.end()) return;
    if (at->second.descriptor >= 0) {
      epoll_ctl(epoll.get(), EPOLL_CTL_DEL, at->second.descriptor, nullptr);
    }
    work = std::move(at->second.call);
    watches.erase(at);
    running = id;
  }
  work();
  work = nullptr;  // what it owns goes before anybody is told
  std::lock_guard guard(mutex);
  running = 0;
  idle.notify_all();
}

void Supervisor::State::call_due() {
  for (;;) {
    Id due = 0;
    {
      std::lock_guard guard(mutex);
      const auto now = std::chrono::steady_clock::now();
      for (const auto& [id, watch] : watches) {
        if (watch.descriptor < 0 && watch.time <= now) due = id;
      }
    }
    if (due == 0) return;
    call(due);
  }
}

void Supervisor::State::loop() {
  pthread_setname_np(pthread_self(), "procession");
  std::array<epoll_event, 32> events{};
  for (;;) {
    const int count = epoll_wait(epoll.get(), events.data(), events.size(), timeout_ms());
    {
      std::lock_guard guard(mutex);
      if (stopping) return;
    }
    for (int i = 0; i < count; ++i) {
      const Id id = events[static_cast<std::size_t>(i)].data.u64;
      if (id != 0) {
        call(id);
      } else {
        std::uint64_t drained = 0;
        (void)!read(wake.get(), &drained, sizeof drained);
      }
    }
    call_due();
  }
}

Supervisor::Id Supervisor::watch(int descriptor, std::function<void()> ended) {
  State& the = state();
  std::unique_lock lock(the.mutex);
  the.start(lock);
  const Id id = the.next++;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  the.watches.emplace(id, State::Watch{descriptor, {}, std::move(ended)});
  if (epoll_ctl(the.epoll.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    the.watches.erase(id);
    throw_system_error(errno, "watch a worker");
  }
  return id;
}

Supervisor::Id Supervisor::at(std::chrono::steady_clock::time_point time,
                              std::function<void()> due) {
  State& the = state();
  std::unique_lock lock(the.mutex);
  the.start(lock);
  const Id id = the.next++;
  the.watches.emplace(id, State::Watch{-1, time, std::move(due)});
  the.poke();
  return id;
}

void Supervisor::forget(Id id) {
  State& the = state();
  std::unique_lock lock(the.mutex);
  if (const auto at = the.watches.find(id); at != the.watches.end()) {
    if (at->second.descriptor >= 0) {
      epoll_ctl(the.epoll.get(), EPOLL_CTL_DEL, at->second.descriptor, nullptr);
    }
    the.watches.erase(at);
  }
  if (the.thread.get_id() == std::this_thread::get_id()) return;
  the.idle.wait(lock, [&] { return the.running != id; });
  if (the.watches.empty() && the.running == 0) the.stop(lock);
}

void Supervisor::end_if_idle() {
  State& the = state();
  std::unique_lock lock(the.mutex);
  if (the.thread.get_id() == std::this_thread::get_id()) return;
  the.idle.wait(lock, [&] { return the.running == 0; });
  if (the.watches.empty()) the.stop(lock);
}

bool Supervisor::on_its_thread() const {
  State& the = state();
  std::lock_guard guard(the.mutex);
  return the.thread.get_id() == std::this_thread::get_id();
}

}  // namespace procession::detail
