// The pool below its templates. Everything here may be called from any thread of the process that
// made the pool.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "procession/detail/batch.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/task.hpp"
#include "procession/types.hpp"

namespace procession {

// Durations in nanoseconds. `peak_memory` in bytes.
struct WorkerStats {
  pid_t pid;
  std::size_t tasks;
  std::chrono::nanoseconds busy, idle, startup;
  std::size_t peak_memory;
  std::size_t restarts;
};
struct PoolStats {
  std::vector<WorkerStats> workers;
  std::size_t queued, running, done, failed, retried, cancelled;
};

struct PoolOptions {
  std::size_t processes = 0;            // 0: usable_cpu_count()
  std::size_t max_tasks_per_child = 0;  // calls; 0: no limit
  std::optional<StartMethod> start_method{};
  std::chrono::nanoseconds task_timeout{0};  // 0: none. Past it the worker is killed
  int retries = 0;                           // of a task whose worker died
  std::size_t memory_limit = 0;              // bytes per worker; 0: none
  std::size_t max_pending = 0;               // calls; 0: no bound; else submitting blocks
  bool pin_cpus = false;                     // worker i on the i-th CPU allowed
  std::chrono::nanoseconds spin{20'000};     // before a waiter sleeps
  std::string name{};
  Limits limits{};
  bool progress = false;  // a bar on stderr, when that is a terminal
};

struct TaskOptions {
  std::chrono::nanoseconds timeout{0};  // 0: the pool's
  int retries = -1;                     // -1: the pool's
  int priority = 0;
  std::string name{};
};

namespace detail {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

class PoolCore;

// What the pool's process knows of a batch. Shared by who waits and by the pool.
class BatchState {
 public:
  virtual ~BatchState() = default;
  [[nodiscard]] virtual bool ready() = 0;
  // False: not ready at the deadline.
  virtual bool wait(Deadline deadline) = 0;
  virtual bool cancel() = 0;
  // Calls `call` once, on the callback thread, when it is ready.
  virtual void on_ready(std::function<void()> call) = 0;
  virtual void drop_pending() = 0;  // what has not begun never will
  [[nodiscard]] virtual std::uint64_t stamp() const = 0;
  [[nodiscard]] virtual std::uint32_t items() const = 0;
  [[nodiscard]] virtual std::uint32_t chunk_items() const = 0;
  [[nodiscard]] virtual Reader payload() const = 0;  // the callable, and what follows it
  // REQUIRES: ready().
  [[nodiscard]] virtual bool succeeded() const = 0;
  // The first item, in order, that failed; items() if none did.
  [[nodiscard]] virtual std::uint32_t first_failure() const = 0;
  [[nodiscard]] virtual bool has_value(std::uint32_t item) const = 0;
  [[noreturn]] virtual void throw_failure(std::uint32_t item) const = 0;
  [[nodiscard]] virtual const std::byte* flat(std::uint32_t item) const = 0;
  [[nodiscard]] virtual Reader boxed(std::uint32_t item) const = 0;
};

class PoolCore {
 public:
  virtual ~PoolCore() = default;
  // Starts the workers. `initializer` may be null. Throws SystemError, OutOfMemory, NotShippable.
  static std::shared_ptr<PoolCore> make(PoolOptions options, std::unique_ptr<Task> initializer);

  // Takes the writer's bytes as a batch; blocks only for max_pending. Throws PoolClosed,
  // NotShippable, OutOfMemory, or what the initializer threw.
  virtual std::shared_ptr<BatchState> submit(Writer& writer, const BatchPlan& plan,
                                             const TaskOptions& task) = 0;
  // Waits until one of the batches is ready; its index in the order of completion. nullopt:
  // none is, at the deadline.
  virtual std::optional<std::size_t> wait_first(
      const std::vector<std::shared_ptr<BatchState>>& batches, Deadline deadline) = 0;
  virtual void close() = 0;
  virtual void terminate() = 0;
  virtual bool join(Deadline deadline) = 0;
  [[nodiscard]] virtual std::size_t processes() const = 0;
  [[nodiscard]] virtual PoolStats stats() const = 0;
  [[nodiscard]] virtual const PoolOptions& options() const = 0;
};

// Throws std::length_error beyond 2^32 - 1.
std::uint32_t checked_items(std::size_t count);
[[noreturn]] void throw_not_ready(std::string_view call);
[[noreturn]] void throw_result_timeout();

}  // namespace detail
}  // namespace procession
