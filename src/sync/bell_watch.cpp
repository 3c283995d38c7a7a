#include "sync/bell_watch.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <mutex>
#include <vector>

#include "sync/thread_table.hpp"
#include "system/futex.hpp"
#include "system/quiet_thread.hpp"

namespace procession::detail {

// Of this process.
struct BellWatches {
  std::uint32_t epoch;
  BellWatches* inherited;  // the parent's, before a fork; never used again
  std::mutex mutex{};
  std::vector<BellWatch*> sleepers{};
  std::uint32_t listeners = 0;
  std::atomic<std::uint32_t> turn{0};     // which of the two is to listen
  std::atomic<std::uint32_t> staging{0};  // 0: that one may be here, and is not yet known to listen
  std::atomic<std::uint32_t> rounds{0};   // what ThreadTable::rounds was when it was known
};

namespace {

// A child of a fork has none of its parent's threads and must not trust its parent's mutex.
BellWatches& bell_watches() {
  static constinit std::atomic<BellWatches*> current{nullptr};
  const std::uint32_t epoch = this_thread().epoch;
  BellWatches* known = current.load(std::memory_order_acquire);
  while (known == nullptr || known->epoch != epoch) {
    std::unique_ptr<BellWatches> fresh(new BellWatches{epoch, known});
    if (current.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) {
      return *fresh.release();
    }
  }
  return *known;
}

class Listener {
 public:
  Listener(BellWatches& home, std::uint32_t me) noexcept : home_(home), me_(me) {}

  [[noreturn]] void run() {
    if (me_ != 0) after_a_ring();
    for (;;) {
      await(home_.turn, me_);
      await(home_.staging, 1);  // asleep there, then on the bell
      ring_for_others();
      home_.staging.store(0, std::memory_order_release);
      home_.turn.store(1 - me_, std::memory_order_release);
      futex_wake(home_.turn, 1);
      after_a_ring();
    }
  }

 private:
  // The word is 0 or 1.
  static void await(std::atomic<std::uint32_t>& word, std::uint32_t value) {
    while (word.load(std::memory_order_acquire) != value) futex_wait(word, 1 - value);
  }

  // Invariant 4.
  void ring_for_others() noexcept {
    ThreadTable& table = thread_table();
    const std::uint32_t round = table.rounds.load(std::memory_order_acquire);
    if (round != home_.rounds.load(std::memory_order_acquire)) return;
    table.rounds.fetch_add(1, std::memory_order_acq_rel);
    futex_wake(table.bell, INT_MAX);
  }

  // Invariant 1.
  void after_a_ring() {
    ThreadTable& table = thread_table();
    while (!move_sleeper(home_.staging, table.bell)) sched_yield();  // it is on its way there
    home_.rounds.store(table.rounds.load(std::memory_order_acquire), std::memory_order_release);
    home_.staging.store(1, std::memory_order_release);
    futex_wake(home_.staging, 1);  // if its wait has begun anew
    wake_sleepers();
  }

  // Invariant 3. The mutex is free in between: a sleeper's signal handler may wait for something.
  void wake_sleepers() {
    std::unique_lock guard(home_.mutex);
    for (BellWatch* sleeper : home_.sleepers) sleeper->owe();
    while (std::ranges::count_if(home_.sleepers, [](BellWatch* each) { return each->wake(); }) >
           0) {
      guard.unlock();
      sched_yield();
      guard.lock();
    }
  }

  // Who sleeps on `from` goes on sleeping on `to`. False: nobody sleeps there.
  static bool move_sleeper(std::atomic<std::uint32_t>& from,
                           std::atomic<std::uint32_t>& to) noexcept {
    return syscall(SYS_futex, &from, FUTEX_CMP_REQUEUE, 0, 1L, &to, 0) == 1;
  }

  BellWatches& home_;
  const std::uint32_t me_;
};

struct ListenerOrder {
  BellWatches& home;
  std::uint32_t which;
};

void* listen(void* argument) {
  const std::unique_ptr<ListenerOrder> order(static_cast<ListenerOrder*>(argument));
  Listener(order->home, order->which).run();
}

void start_listener(BellWatches& home, std::uint32_t which) {
  auto order = std::make_unique<ListenerOrder>(ListenerOrder{home, which});
  start_quiet_thread(listen, order.get(), "start a thread that listens for deaths");
  (void)order.release();
}

}  // namespace

// A sleeper that is listed before there are listeners is woken when they begin.
BellWatch::BellWatch(const std::atomic<std::uint32_t>& word) : word_(word), home_(&bell_watches()) {
  std::lock_guard guard(home_->mutex);
  home_->sleepers.push_back(this);
  try {
    for (; home_->listeners < 2; ++home_->listeners) start_listener(*home_, home_->listeners);
  } catch (...) {
    home_->sleepers.pop_back();
    throw;
  }
}

BellWatch::~BellWatch() {
  back_.store(true, std::memory_order_release);
  std::lock_guard guard(home_->mutex);
  std::erase(home_->sleepers, this);
}

bool BellWatch::wake() const noexcept {
  if (!owed_ || back_.load(std::memory_order_acquire)) return false;
  futex_wake(word_, INT_MAX);
  return true;
}

}  // namespace procession::detail
