// The thread that calls what AsyncResult::then() was given, and resumes who awaits a result.
//
// One for all pools of this process: callbacks never run at the same time. It is there from the
// first then() until the last pool that had one is gone. It is not the supervisor: the program's
// code may block, and the death of a worker must be heard all the same.
//
// Who completes a batch that is waited for here puts it on a stack in the family memory, the inbox,
// and wakes the thread. So nothing is searched, however many results are waited for.
//
// Invariants:
//   1. Batch::notify goes Wanted -> pid by the compare-exchange of who will put it in the inbox: a
//      worker after it has completed the batch, or the pool's process. Only the thread makes it
//      Wanted again, once it has taken the batch out.
//   2. A batch whose notify is the pid of a process that is dead is in the inbox, or never will
//      be. After every death of a worker the thread empties the inbox and then looks for those.
//   3. Who completes a batch stores its state before it reads notify; the thread stores Wanted
//      before it reads the states.
//   4. A batch is in the registry from its first callback until they are all taken out at once to
//      be called, which needs notify to go Wanted -> Off; so whoever is in the inbox is registered.
// The single stores: to put it in: the compare-exchange of `top`.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "pool/shared.hpp"
#include "procession/detail/pool_core.hpp"

namespace procession::detail {

class Callbacks {
 public:
  using Call = std::function<void()>;

  // The one of this process. Throws SystemError, OutOfMemory.
  static std::shared_ptr<Callbacks> instance();
  ~Callbacks();  // waits for the thread, unless called on it
  Callbacks(const Callbacks&) = delete;
  Callbacks& operator=(const Callbacks&) = delete;

  // Calls `call` once, on the thread, when the batch of `state` is ready; an exception of it is
  // logged. `pool` is whose batch it is.
  void add(const void* pool, const std::shared_ptr<BatchState>& state, Batch& batch,
           PoolShared& shared, Call call);
  // Until all callbacks of the pool have returned; at once on the thread itself. False: not at the
  // deadline.
  bool wait_for(const void* pool, Deadline deadline);
  // The kernel has said that it is dead. Never blocks.
  void worker_died(pid_t pid);

 private:
  Callbacks();
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace procession::detail
