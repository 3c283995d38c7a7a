#include "pool_under_test.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>

#include "family.hpp"
#include "ship/modules.hpp"

namespace procession::faults {

using namespace detail;

namespace {

PoolShared* shared_of(Core& core);
LoadedSet& loaded_of(Core& core);
std::mutex& mutex_of(Core& core);
std::shared_ptr<Callbacks> callbacks_of(Core& core);
void resolve_in(Core& core, std::uint32_t index, const Death& death);

template <auto Shared, auto Loaded, auto Mutex, auto Calls, auto Resolve>
struct Open {
  friend PoolShared* shared_of(Core& core) { return core.*Shared; }
  friend LoadedSet& loaded_of(Core& core) { return core.*Loaded; }
  friend std::mutex& mutex_of(Core& core) { return core.*Mutex; }
  friend std::shared_ptr<Callbacks> callbacks_of(Core& core) { return core.*Calls; }
  friend void resolve_in(Core& core, std::uint32_t index, const Death& death) {
    (core.*Resolve)(index, death);
  }
};

template struct Open<&Core::shared_, &Core::loaded_, &Core::mutex_, &Core::callbacks_,
                     &Core::resolve>;

}  // namespace

BarePool::BarePool(int retries, std::size_t workers) {
  PoolOptions options;
  options.processes = workers;
  options.retries = retries;
  options.spin = std::chrono::nanoseconds(0);
  core_ = std::make_shared<Core>(std::move(options), nullptr);
  loaded_of(*core_) = loaded_modules();  // its workers are forks of this process
}

BarePool::~BarePool() {
  const auto callbacks = callbacks_of(*core_);
  if (callbacks != nullptr) callbacks->wait_for(core_.get(), std::nullopt);
}

PoolShared& BarePool::shared() { return *shared_of(*core_); }

void BarePool::worker_died(pid_t pid, std::uint32_t index) {
  const std::lock_guard guard(mutex_of(*core_));
  WorkerSlot& slot = shared().slots[index];
  resolve_in(*core_, index, {pid, -SIGKILL, DeathReason::Signal});
  if (slot.sleeping.exchange(0) != 0) shared().sleepers.fetch_sub(1);
  if (slot.spinning.exchange(0) != 0) shared().spinners.fetch_sub(1);
  slot.batch.store(nullptr);
  slot.item.store(no_item);
  slot.ready.store(0);
  if (const auto callbacks = callbacks_of(*core_)) callbacks->worker_died(pid);
}

// --- HeldPool ------------------------------------------------------------------------------

namespace {

// How many workers have come to their initializer, and more.
SharedBox<std::atomic<std::uint32_t>>& initialised() {
  static SharedBox<std::atomic<std::uint32_t>> box;
  return box;
}

void hold_the_first() {
  if (initialised()->fetch_add(1) != 0) return;
  for (;;) ::pause();
}

}  // namespace

struct HeldPool::Opened : Pool {
  using Pool::Pool;
  std::shared_ptr<PoolCore> core_pointer() const { return core_; }
};

HeldPool::HeldPool() {
  initialised()->store(0);
  PoolOptions options;
  options.processes = 1;
  options.start_method = StartMethod::Fork;
  options.spin = std::chrono::nanoseconds(0);
  pool_ = std::make_unique<Opened>(std::move(options), hold_the_first);
  core_ = std::static_pointer_cast<Core>(pool_->core_pointer());
}

HeldPool::~HeldPool() {
  core_.reset();
  pool_.reset();
}

PoolView& HeldPool::view() { return *pool_; }
void HeldPool::close() { pool_->close(); }
PoolShared& HeldPool::shared() { return *shared_of(*core_); }

pid_t HeldPool::kill_worker() {
  const pid_t pid = pool_->stats().workers[0].pid;
  initialised()->fetch_add(1);
  ::kill(pid, SIGKILL);
  return pid;
}

}  // namespace procession::faults
