// A pool whose worker is the harness's child.
//
// Core starts its workers as processes of its own and hears of their deaths on a thread of its
// own; neither can be stepped or repeated. So the cases use a Core that never started a worker: the
// child of the harness calls detail::work() on its shared memory as worker 0, and the survivors
// call what Core::on_death() calls, once that child is dead. Both are Core's own code, reached
// without another door in it: an explicit instantiation may name private members.
//
//   BarePool pool(retries);
//   auto result = pool.view().apply_async(f, 7);
//   pool.core().close();                           // work() then returns when all is done
//   ... the child: work(pool.shared(), 0); it is killed ...
//   pool.worker_died(pid);                         // recovery
//   work(pool.shared(), 0);                        // another worker: this process
//   result.get();
#pragma once

#include <sys/types.h>

#include <memory>

#include "pool/core.hpp"
#include "procession/pool.hpp"

namespace procession::faults {

// Where a thread's calls wait when it is the only one.
inline detail::Lane& first_lane(const detail::PoolShared& shared) {
  return *shared.lanes.load()->lanes[0].load();
}
// The n-th batch that was ever put there.
inline detail::Batch& batch_in_first_lane(const detail::PoolShared& shared, std::uint64_t n = 0) {
  return *first_lane(shared).ring.load()->cells[n].load();
}

class BarePool {
 public:
  explicit BarePool(int retries = 0, std::size_t workers = 1);
  ~BarePool();  // waits for callbacks, as a pool's join() does
  BarePool(const BarePool&) = delete;
  BarePool& operator=(const BarePool&) = delete;

  detail::Core& core() { return *core_; }
  detail::PoolShared& shared();
  // Calls with the pool's options.
  PoolView view() const { return View(core_); }
  // What the supervisor's thread does when the kernel has said that worker `index` is dead.
  void worker_died(pid_t pid, std::uint32_t index = 0);

 private:
  struct View : PoolView {
    explicit View(std::shared_ptr<detail::PoolCore> core) : PoolView(std::move(core), {}) {}
  };
  std::shared_ptr<detail::Core> core_;
};

// A real pool of one worker, for recovery as a whole: a process dies, the supervisor's thread hears
// it, a new worker takes over. The first worker never gets beyond its initializer. The child of
// the harness does its work, in its slot, and when it was killed so is the worker.
class HeldPool {
 public:
  HeldPool();
  ~HeldPool();

  detail::PoolShared& shared();
  PoolView& view();
  void close();
  // Kills the worker, and lets the next one begin; returns the pid.
  pid_t kill_worker();

 private:
  struct Opened;
  std::unique_ptr<Opened> pool_;
  std::shared_ptr<detail::Core> core_;
};

}  // namespace procession::faults
