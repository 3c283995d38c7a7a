#include "pool/callbacks.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "memory/family.hpp"
#include "procession/log.hpp"
#include "spdlog/logger.h"
#include "system/futex.hpp"
#include "system/quiet_thread.hpp"

namespace procession::detail {

struct Callbacks::State {
  // One result, and who waits for it.
  struct Entry {
    const void* pool;
    std::shared_ptr<BatchState> state;
    std::vector<Call> calls;
  };

  std::mutex mutex;
  std::condition_variable changed;  // something was called, or the thread has ended
  std::unordered_map<Batch*, Entry> registry;
  std::unordered_map<const void*, std::size_t> open;  // entries of each pool: registered, due, run
  std::deque<Entry> due;
  std::vector<pid_t> dead;
  bool stopping = false, ended = false;
  unsigned epoch = fork_epoch();
  pthread_t thread{};
  Inbox* inbox = nullptr;
  std::shared_ptr<State> keeps_itself;

  void loop();
  void take_in();
  void consider(Batch& batch);
  void settle(Batch& batch);
  void look_after_the_dead(const std::vector<pid_t>& dead_now);
  bool call_next();
  void sleep();
};

namespace {

struct Making {
  std::mutex mutex;
  std::weak_ptr<Callbacks> made;
};

Making& making() {
  static auto* the = [] {
    pthread_atfork([] { making().mutex.lock(); }, [] { making().mutex.unlock(); },
                   [] { making().mutex.unlock(); });
    return new Making;
  }();
  return *the;
}

}  // namespace

// --- the thread ----------------------------------------------------------------------------

void Callbacks::State::loop() {
  {
    const std::lock_guard guard(mutex);
    thread = pthread_self();
  }
  for (;;) {
    take_in();
    while (call_next()) {
    }
    {
      const std::lock_guard guard(mutex);
      if (stopping) break;
    }
    sleep();
  }
}

// What is done goes from the inbox to `due`, oldest first.
void Callbacks::State::take_in() {
  const std::lock_guard guard(mutex);
  const std::vector<pid_t> dead_now = std::exchange(dead, {});
  std::vector<Batch*> done;
  for (Batch* batch = inbox->top.exchange(nullptr, std::memory_order_seq_cst); batch != nullptr;
       batch = batch->next_done.load(std::memory_order_relaxed)) {
    done.push_back(batch);
  }
  for (auto batch = done.rbegin(); batch != done.rend(); ++batch) consider(**batch);
  if (!dead_now.empty()) look_after_the_dead(dead_now);
}

// A batch that is in nobody's hand. REQUIRES: mutex.
void Callbacks::State::consider(Batch& batch) {
  batch.notify.store(Batch::wanted, std::memory_order_seq_cst);
  settle(batch);
}

// Takes it out when it is ready. REQUIRES: mutex; it is registered.
void Callbacks::State::settle(Batch& batch) {
  const auto at = registry.find(&batch);
  if (!at->second.state->ready()) return;
  std::uint32_t wanted = Batch::wanted;
  // Else somebody has it in hand: it will come.
  if (!batch.notify.compare_exchange_strong(wanted, Batch::off)) return;
  due.push_back(std::move(at->second));
  registry.erase(at);
}

// Invariant 2. REQUIRES: mutex, and that the inbox was emptied after their death.
void Callbacks::State::look_after_the_dead(const std::vector<pid_t>& dead_now) {
  std::vector<Batch*> left;
  left.reserve(registry.size());
  for (const auto& [batch, entry] : registry) left.push_back(batch);
  for (Batch* batch : left) {
    const std::uint32_t who = batch->notify.load(std::memory_order_acquire);
    if (who == Batch::wanted) {
      settle(*batch);
    } else if (std::ranges::find(dead_now, static_cast<pid_t>(who)) != dead_now.end()) {
      consider(*batch);
    }
  }
}

// False: there is none.
bool Callbacks::State::call_next() {
  std::unique_lock lock(mutex);
  if (due.empty()) return false;
  Entry entry = std::move(due.front());
  due.pop_front();
  lock.unlock();
  for (Call& call : entry.calls) {
    try {
      call();
    } catch (const std::exception& error) {
      get_logger()->error("a callback of an AsyncResult threw: {}", error.what());
    } catch (...) {
      get_logger()->error("a callback of an AsyncResult threw something that is no std::exception");
    }
    call = nullptr;
  }
  const void* pool = entry.pool;
  entry.state.reset();  // before anybody hears of it: it may be the pool's last
  lock.lock();
  if (--open[pool] == 0) open.erase(pool);
  changed.notify_all();
  return true;
}

void Callbacks::State::sleep() {
  inbox->asleep.store(1, std::memory_order_seq_cst);
  const std::uint32_t seen = inbox->event.load(std::memory_order_acquire);
  bool nothing = inbox->top.load(std::memory_order_seq_cst) == nullptr;
  {
    const std::lock_guard guard(mutex);
    nothing = nothing && dead.empty() && due.empty() && !stopping;
  }
  if (nothing) futex_wait(inbox->event, seen);
  inbox->asleep.store(0, std::memory_order_relaxed);
}

// --- its owners ----------------------------------------------------------------------------

std::shared_ptr<Callbacks> Callbacks::instance() {
  Making& the = making();
  const std::lock_guard guard(the.mutex);
  std::shared_ptr<Callbacks> made = the.made.lock();
  if (made != nullptr && made->state_->epoch == fork_epoch()) return made;
  made.reset(new Callbacks);
  the.made = made;
  return made;
}

Callbacks::Callbacks() : state_(std::make_shared<State>()) {
  state_->inbox = new (allocate(sizeof(Inbox))) Inbox{};
  auto* argument = new std::shared_ptr<State>(state_);
  try {
    start_quiet_thread(
        [](void* opaque) -> void* {
          const std::unique_ptr<std::shared_ptr<State>> own(
              static_cast<std::shared_ptr<State>*>(opaque));
          State& state = **own;
          state.loop();
          const std::lock_guard guard(state.mutex);
          deallocate(state.inbox);
          state.ended = true;
          state.changed.notify_all();
          return nullptr;
        },
        argument, "start the thread that calls back");
  } catch (...) {
    delete argument;
    deallocate(state_->inbox);
    throw;
  }
}

Callbacks::~Callbacks() {
  if (state_->epoch != fork_epoch()) {
    // A forked copy: the thread is its parent's, and what it was doing then nobody can undo here.
    state_->keeps_itself = state_;
    return;
  }
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  wake(*state_->inbox);
  if (pthread_equal(state_->thread, pthread_self()) != 0) return;
  state_->changed.wait(lock, [this] { return state_->ended; });
}

void Callbacks::add(const void* pool, const std::shared_ptr<BatchState>& state, Batch& batch,
                    PoolShared& shared, Call call) {
  const std::lock_guard guard(state_->mutex);
  const auto [at, is_new] = state_->registry.try_emplace(&batch, State::Entry{pool, state, {}});
  at->second.calls.push_back(std::move(call));
  if (!is_new) return;
  ++state_->open[pool];
  shared.inbox.store(state_->inbox, std::memory_order_release);
  batch.notify.store(Batch::wanted, std::memory_order_seq_cst);
  if (state->ready()) notify(shared, batch);
}

bool Callbacks::wait_for(const void* pool, Deadline deadline) {
  std::unique_lock lock(state_->mutex);
  if (pthread_equal(state_->thread, pthread_self()) != 0) return true;
  const auto none = [&] { return !state_->open.contains(pool); };
  if (deadline) return state_->changed.wait_until(lock, *deadline, none);
  state_->changed.wait(lock, none);
  return true;
}

void Callbacks::worker_died(pid_t pid) {
  {
    const std::lock_guard guard(state_->mutex);
    state_->dead.push_back(pid);
  }
  wake(*state_->inbox);
}

}  // namespace procession::detail
