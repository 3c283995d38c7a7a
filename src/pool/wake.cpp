// Who is told of what: of a batch that is done, or of work.
#include <unistd.h>

#include "pool/shared.hpp"

namespace procession::detail {

void announce(PoolShared& shared, Batch& batch, bool always) noexcept {
  if (batch.stamped != 0) {
    if (shared.stream_waiters.load(std::memory_order_seq_cst) != 0) {
      shared.stream_event.fetch_add(1, std::memory_order_release);
      futex_wake(shared.stream_event, INT32_MAX);
    }
  }
  if (!always && batch.eager.load(std::memory_order_relaxed) == 0) return;
  notify(shared, batch);
  if (batch.waiters.load(std::memory_order_seq_cst) == 0) return;
  batch.event.fetch_add(1, std::memory_order_release);
  futex_wake(batch.event, INT32_MAX);
}

void wake_workers(PoolShared& shared, std::uint32_t count) noexcept {
  if (shared.sleepers.load(std::memory_order_seq_cst) == 0) return;
  shared.signal.fetch_add(1, std::memory_order_release);
  futex_wake(shared.signal, static_cast<int>(count));
}

void notify(PoolShared& shared, Batch& batch) noexcept {
  std::uint32_t wanted = Batch::wanted;
  if (batch.notify.load(std::memory_order_seq_cst) != wanted) return;
  const auto self = static_cast<std::uint32_t>(getpid());
  if (!batch.notify.compare_exchange_strong(wanted, self, std::memory_order_seq_cst)) return;
  Inbox& inbox = *shared.inbox.load(std::memory_order_acquire);
  Batch* top = inbox.top.load(std::memory_order_relaxed);
  do {
    batch.next_done.store(top, std::memory_order_relaxed);
  } while (!inbox.top.compare_exchange_weak(top, &batch, std::memory_order_seq_cst));
  wake(inbox);
}

void wake(Inbox& inbox) noexcept {
  if (inbox.asleep.load(std::memory_order_seq_cst) == 0) return;
  inbox.event.fetch_add(1, std::memory_order_release);
  futex_wake(inbox.event, 1);
}

}  // namespace procession::detail
