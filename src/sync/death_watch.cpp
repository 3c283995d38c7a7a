#include "sync/death_watch.hpp"

#include <linux/futex.h>

#include <atomic>
#include <climits>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "sync/watched.hpp"
#include "system/futex.hpp"
#include "system/quiet_thread.hpp"

namespace procession::detail {
namespace {

struct Wait {
  const DeathWatch* watch;
  const std::atomic<std::uint32_t>* word;
  DeathNews news;
};

// Of this process. An entry: that owner is being watched; its waits may be none.
struct Watches {
  std::uint32_t epoch;
  Watches* inherited;  // the parent's, before a fork; never used again
  std::mutex mutex{};
  std::map<std::uint64_t, std::vector<Wait>> of_owner{};
};

// A child of a fork has none of its parent's threads and must not trust its parent's mutex.
Watches& watches() {
  static constinit std::atomic<Watches*> current{nullptr};
  const std::uint32_t epoch = this_thread().epoch;
  Watches* known = current.load(std::memory_order_acquire);
  while (known == nullptr || known->epoch != epoch) {
    auto* fresh = new Watches{epoch, known};
    if (current.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
  }
  return *known;
}

struct Order {
  Watches* home;
  std::uint64_t owner;
};

void await_end(std::uint64_t word) {
  const Watched owner = watched(Owner::from(word));
  auto& token = owner.token;
  for (;;) {
    std::uint32_t alive = token.load(std::memory_order_acquire);
    if (owner.token_is_dead()) break;
    if ((alive & FUTEX_WAITERS) != 0 || token.compare_exchange_strong(alive, alive | FUTEX_WAITERS))
      futex_wait(token, alive | FUTEX_WAITERS);
  }
  futex_wake(token, INT_MAX);  // the kernel wakes one; the others are told by it
}

void* watch_owner(void* argument) {
  const Order order = *std::unique_ptr<Order>(static_cast<Order*>(argument));
  await_end(order.owner);
  std::lock_guard guard(order.home->mutex);
  for (const Wait& wait : order.home->of_owner[order.owner]) {
    wait.news.settle(wait.news.context, order.owner);
    futex_wake(*wait.word, INT_MAX);
  }
  order.home->of_owner.erase(order.owner);
  return nullptr;
}

// REQUIRES: home.mutex.
void drop(Watches& home, const DeathWatch* watch,
          const std::vector<std::uint64_t>& owners) noexcept {
  for (const std::uint64_t owner : owners) {
    const auto at = home.of_owner.find(owner);
    if (at == home.of_owner.end()) continue;  // it has ended
    std::erase_if(at->second, [watch](const Wait& wait) { return wait.watch == watch; });
  }
}

void start_watching(Watches& home, std::uint64_t owner) {
  auto order = std::make_unique<Order>(Order{&home, owner});
  start_quiet_thread(watch_owner, order.get(), "start a thread that watches the owner of a lock");
  (void)order.release();
}

}  // namespace

DeathWatch::DeathWatch(const std::atomic<std::uint32_t>& word, std::span<const Owner> owners,
                       DeathNews news) {
  if (owners.empty()) return;
  Watches& home = watches();
  std::lock_guard guard(home.mutex);
  for (const Owner& each : owners) {
    const std::uint64_t owner = each.word();
    const auto [at, fresh] = home.of_owner.try_emplace(owner);
    try {
      owners_.push_back(owner);
      at->second.push_back({this, &word, news});
      if (fresh) start_watching(home, owner);
    } catch (...) {
      if (fresh) home.of_owner.erase(at);
      drop(home, this, owners_);
      throw;
    }
  }
}

void DeathWatch::forget() noexcept {
  if (owners_.empty()) return;
  Watches& home = watches();
  std::lock_guard guard(home.mutex);
  drop(home, this, owners_);
}

}  // namespace procession::detail
