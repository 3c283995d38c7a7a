#include "sync/barrier_action.hpp"

#include <pthread.h>

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "memory/family.hpp"

namespace procession::detail {
namespace {

struct LocalAction {
  std::uint64_t id;
  std::function<void()> action;
};

struct LocalActions {
  std::mutex mutex;
  std::map<const BarrierShared*, LocalAction> of;
};

LocalActions& local_actions() {
  static LocalActions* const made = [] {
    pthread_atfork([] { local_actions().mutex.lock(); }, [] { local_actions().mutex.unlock(); },
                   [] { local_actions().mutex.unlock(); });
    return new LocalActions;
  }();
  return *made;
}

bool is_gone(const BarrierShared* barrier, std::uint64_t id) noexcept {
  return object_at(barrier) != &barrier->head || barrier->head.kind != ObjectKind::Barrier ||
         barrier->id != id;
}

}  // namespace

std::uint64_t new_barrier_id() {
  static std::atomic<std::uint32_t> made{0};
  return std::uint64_t{self_index()} << 56 ^ std::uint64_t{generation_of(self_index())} << 32 ^
         (made.fetch_add(1, std::memory_order_relaxed) + 1);
}

void keep_local_action(const BarrierShared& shared, std::function<void()> action) {
  LocalActions& local = local_actions();
  std::map<const BarrierShared*, LocalAction> gone;  // their ends may take a while
  std::lock_guard guard(local.mutex);
  for (auto at = local.of.begin(); at != local.of.end();) {
    const auto next = std::next(at);
    if (is_gone(at->first, at->second.id)) gone.insert(local.of.extract(at));
    at = next;
  }
  local.of.insert_or_assign(&shared, LocalAction{shared.id, std::move(action)});
}

void run_action(const BarrierShared& shared) {
  std::function<void()> action;
  {
    LocalActions& local = local_actions();
    std::lock_guard guard(local.mutex);
    const auto at = local.of.find(&shared);
    if (at != local.of.end() && at->second.id == shared.id) action = at->second.action;
  }
  if (action) return action();
  const void* block = shared.action.load(std::memory_order_acquire);
  if (block == nullptr) {
    throw NotShippable(
        "the action of a Barrier cannot be called in this process, as it refers to memory of the "
        "one that made it; capture numbers and handles by value");
  }
  const auto* header = static_cast<const BarrierActionHeader*>(block);
  auto* run = reinterpret_cast<void (*)(Reader&)>(resolve(header->run));
  if (run == nullptr) {
    throw NotShippable("the action of a Barrier is in a module that this process has not loaded");
  }
  Reader reader(static_cast<const std::byte*>(block), header->bytes, sizeof(BarrierActionHeader));
  run(reader);
}

}  // namespace procession::detail
