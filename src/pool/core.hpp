// The pool, in the process that made it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "pool/callbacks.hpp"
#include "pool/shared.hpp"
#include "pool/supervisor.hpp"
#include "process/child.hpp"
#include "procession/detail/pool_core.hpp"
#include "procession/errors.hpp"
#include "ship/modules.hpp"

namespace procession::detail {

class Core;

// What the calls of a terminated pool end with.
std::exception_ptr was_terminated();

// How a worker died that had a call.
struct Death {
  pid_t pid;
  int exitcode;
  DeathReason reason;
};

// One batch. Its block is freed when nobody here asks for it and no worker looks at it.
class CallState final : public BatchState, public std::enable_shared_from_this<CallState> {
 public:
  CallState(std::shared_ptr<Core> core, Batch* batch, int retries, std::chrono::nanoseconds timeout,
            const TaskOptions& task, std::shared_ptr<const void> keep)
      : core_(std::move(core)),
        batch_(batch),
        retries_(retries),
        timeout_(timeout),
        name_(task.name),
        keep_(std::move(keep)),
        thread_(std::this_thread::get_id()),
        priority_(task.priority) {}
  ~CallState() override;

  bool ready() override;
  bool wait(Deadline deadline) override;
  bool cancel() override;
  void on_ready(std::function<void()> call) override;
  void drop_pending() override;
  std::uint64_t stamp() const override { return batch_->stamp.load(std::memory_order_relaxed); }
  std::uint32_t items() const override { return batch_->items; }
  std::uint32_t chunk_items() const override { return batch_->chunk_items; }
  Reader payload() const override {
    return {reinterpret_cast<const std::byte*>(batch_), batch_->bytes, batch_->payload};
  }
  bool succeeded() const override { return first_failure() == batch_->items; }
  std::uint32_t first_failure() const override;
  bool has_value(std::uint32_t item) const override;
  void throw_failure(std::uint32_t item) const override;
  const std::byte* flat(std::uint32_t item) const override;
  Reader boxed(std::uint32_t item) const override;

  bool sleep_until(Deadline deadline);
  [[nodiscard]] std::size_t items_done() const;
  // Ends every chunk that nobody has begun; who asks hears `why`. REQUIRES: Core::mutex_.
  // True: there was one.
  bool refuse(const std::exception_ptr& why);

  void require_own_process() const;  // StateError
  Batch& batch() { return *batch_; }
  [[nodiscard]] std::chrono::nanoseconds timeout() const { return timeout_; }

 private:
  friend class Core;
  friend struct CallWait;
  // What became of items that no worker could finish.
  struct Loss {
    int attempts = 0;
    Death death{};
  };
  std::shared_ptr<Core> core_;
  Batch* batch_;
  int retries_;
  std::chrono::nanoseconds timeout_;
  std::string name_;
  std::shared_ptr<const void> keep_;  // what the items are in
  std::thread::id thread_;            // who submitted it
  int priority_ = 0;
  mutable std::mutex mutex_;              // cursor_, refusal_
  std::uint32_t cursor_ = 0;              // chunks below it are done
  std::map<std::uint32_t, Loss> losses_;  // guarded by Core::mutex_ until ready
  std::atomic<bool> cancelled_{false};    // cancel() said so: whatever there is, is not given
  std::exception_ptr refusal_;            // the pool ended before the batch did
};

class Core final : public PoolCore, public std::enable_shared_from_this<Core> {
 public:
  Core(PoolOptions options, std::unique_ptr<Task> initializer);
  ~Core() override;
  void start_workers();

  std::shared_ptr<BatchState> submit(Writer& writer, const BatchPlan& plan,
                                     const TaskOptions& task) override;
  std::optional<std::size_t> wait_first(const std::vector<std::shared_ptr<BatchState>>& batches,
                                        Deadline deadline) override;
  void close() override;
  void terminate() override;
  bool join(Deadline deadline) override;
  std::size_t processes() const override { return workers_.size(); }
  PoolStats stats() const override;
  const PoolOptions& options() const override { return options_; }

  // For CallState. The user has dropped the last AsyncResult: the call goes when it is done.
  void drop(CallState* call) noexcept;
  void require_own_process(const char* call) const;
  bool cancel(CallState& call);
  void call_back(CallState& call, std::function<void()> function);
  [[nodiscard]] std::uint64_t spin() const { return shared_->spin; }
  [[nodiscard]] bool shows_progress() const { return options_.progress; }

 private:
  struct Worker {
    std::shared_ptr<Child> child;
    Supervisor::Id watch = 0;
    std::uint64_t started = 0;  // nanoseconds
    std::size_t restarts = 0;
    std::size_t failed_initializers = 0;    // in a row: it died in them
    std::optional<DeathReason> killed_for;  // that item, if it still runs it
    Batch* killed_batch = nullptr;
    std::uint32_t killed_item = no_item;
    std::size_t peak_memory = 0;
    std::uint64_t tasks_before = 0, failed_before = 0;  // of those before it
  };

  void refuse_ended();
  void free_lanes() noexcept;
  // These five: REQUIRES: mutex_.
  void push(CallState& call);
  std::size_t lane_for(std::thread::id thread, int priority);
  std::size_t add_lane();
  void keep_old(void* block);
  void grow_ring(Lane& lane);
  void sweep_limbo(std::size_t most) noexcept;
  bool unused_now(Batch& batch) noexcept;
  Batch* make_batch(Writer& writer, const BatchPlan& plan);
  void start_worker(std::uint32_t index);
  [[nodiscard]] StartMethod start_method() const;
  void on_death(std::uint32_t index);
  void replace_worker(std::uint32_t index);
  void resolve(std::uint32_t index, const Death& death);
  bool resolve_item(CallState& call, std::uint32_t item, const Death& death);
  void put_back(Batch& batch, std::uint32_t chunk);
  void refuse_rest(const std::exception_ptr& why);
  void kill_for(std::uint32_t index, DeathReason reason);
  void arm_timer(std::chrono::nanoseconds timeout);
  void check_times();
  void wait_for_room();
  // pace.cpp. REQUIRES: mutex_, but for on_nudge().
  bool wants_wake();
  void learn_pace();
  void arm_nudge();
  void on_nudge();
  [[nodiscard]] bool all_gone() const;

  PoolOptions options_;
  unsigned owner_;  // fork_epoch() of the process that made it
  PoolShared* shared_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a worker is gone
  std::vector<Worker> workers_;
  // What the pool knows of each lane.
  struct LaneUse {
    Lane* lane;
    std::thread::id thread;  // whose it was last
  };
  std::vector<LaneUse> lanes_;
  std::size_t last_lane_ = 0;
  std::vector<void*> old_;                           // rings and tables of lanes
  std::deque<CallState*> limbo_;                     // dropped, but not done or perhaps looked at
  std::deque<std::shared_ptr<BatchState>> pending_;  // for max_pending
  LoadedSet loaded_;                                 // what workers can resolve
  void* initializer_block_ = nullptr;
  std::exception_ptr broken_;
  bool closed_ = false, terminated_ = false;
  std::size_t failed_starts_ = 0;  // in a row, of all workers: they died before they were ready
  std::size_t replacing_ = 0;      // workers being started in place of dead ones
  std::shared_ptr<Callbacks> callbacks_;  // once there was one
  Supervisor::Id timer_ = 0, nudge_ = 0;
  unsigned submits_ = 0;  // since the pace was looked at
  // Sums of all workers then, and what has come since, older things counting less. Nanoseconds.
  struct {
    std::uint64_t tasks = 0, busy = 0, recent_tasks = 0, recent_busy = 0;
  } pace_;
  std::chrono::nanoseconds shortest_timeout_{0};
  std::size_t retried_ = 0, cancelled_ = 0, lost_ = 0;
};

}  // namespace procession::detail
