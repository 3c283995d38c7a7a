// How a worker process comes to work(): as the target of a Process.
#include <signal.h>
#include <unistd.h>

#include <new>

#include "memory/heap.hpp"
#include "pool/shared.hpp"
#include "procession/detail/exceptions.hpp"
#include "system/stack_trace.hpp"

namespace procession::detail {
namespace {

WorkerSlot* own_slot = nullptr;

// Past the memory limit: the pool is told why, and the call is lost.
void out_of_private_memory() {
  own_slot->over_memory.store(1, std::memory_order_release);
  ::kill(getpid(), SIGKILL);
}

// False: it threw; the pool finds the exception in the slot.
bool initialise(PoolShared& shared, WorkerSlot& slot) {
  if (shared.initializer_block == nullptr) return true;
  slot.initializing.store(1, std::memory_order_release);
  ThrowSite site;
  try {
    call_watching_throws(
        [](void* opaque) {
          auto& in = *static_cast<PoolShared*>(opaque);
          Reader reader(in.initializer_block, in.initializer_bytes);
          reinterpret_cast<TaskEntry>(resolve(in.initializer))(reader);
        },
        &shared, site);
    return true;
  } catch (...) {
    Writer error("the exception of an initializer");
    encode_current_exception(error, site.stack());
    hand_over(error.finish(), slot.trouble);
    return false;
  }
}

void run_worker(PoolShared& shared, std::uint32_t index) {
  // Ctrl-C is for the program; when that ends its workers do.
  signal(SIGINT, SIG_IGN);
  own_slot = &shared.slots[index];
  if (shared.memory_limit != 0) std::set_new_handler(out_of_private_memory);
  if (initialise(shared, *own_slot)) work(shared, index);
}

class WorkerTask final : public Task {
 public:
  WorkerTask(PoolShared& shared, std::uint32_t index) : shared_(&shared), index_(index) {}
  void run() override { run_worker(*shared_, index_); }
  void write(Writer& writer) const override {
    const auto address = reinterpret_cast<std::uintptr_t>(shared_);
    writer.align(alignof(std::uintptr_t));
    writer.write(&address, sizeof address);
    writer.write(&index_, sizeof index_);
  }
  TaskEntry entry() const noexcept override { return &received; }

 private:
  static void received(Reader& reader) {
    reader.align(alignof(std::uintptr_t));
    const auto address =
        *reinterpret_cast<const std::uintptr_t*>(reader.take(sizeof(std::uintptr_t)));
    const auto index = *reinterpret_cast<const std::uint32_t*>(reader.take(sizeof(std::uint32_t)));
    run_worker(*reinterpret_cast<PoolShared*>(address), index);
  }
  PoolShared* shared_;
  std::uint32_t index_;
};

}  // namespace

std::unique_ptr<Task> worker_task(PoolShared& shared, std::uint32_t index) {
  return std::make_unique<WorkerTask>(shared, index);
}

}  // namespace procession::detail
