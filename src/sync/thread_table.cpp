#include "sync/thread_table.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <optional>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/roots.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t first_chunk = ThreadTable::first_chunk;
constexpr std::uint32_t unregistered = UINT32_MAX;
// Below so many slots the table grows rather than forget who died with a lock in its hands.
constexpr std::uint32_t grow_first = 1024;

constinit std::atomic<std::uint32_t> no_mark{0};
constinit std::atomic<std::uint32_t> epochs{0};  // copied by a fork, so no two relatives share one

// Makes `block` what `home` points to, unless another process was first.
bool publish_once(void* block, std::atomic<void*>& home) noexcept {
  auto& header = header_of(block);
  header.word().store(BlockHeader::pack(reinterpret_cast<std::uintptr_t>(&home), BlockKind::Plain),
                      std::memory_order_release);
  void* nothing = nullptr;
  if (home.compare_exchange_strong(nothing, block, std::memory_order_acq_rel)) return true;
  header.word().store(BlockHeader::pack(0, BlockKind::Plain), std::memory_order_release);
  deallocate(block);
  return false;
}

void make_table() {
  auto& root = family_root(FamilyRoot::Threads);
  if (root.load(std::memory_order_acquire) != nullptr) return;
  void* block = allocate(sizeof(ThreadTable));
  std::memset(block, 0, sizeof(ThreadTable));
  static_cast<ThreadTable*>(block)->verdict.on_death = OwnerDeath::Silent;
  publish_once(block, root);
}

void add_chunk(std::size_t chunk) {
  const std::size_t slots = first_chunk << chunk;
  auto* block = static_cast<ThreadSlot*>(allocate(sizeof(ThreadSlot) * slots));
  std::memset(static_cast<void*>(block), 0, sizeof(ThreadSlot) * slots);
  for (std::size_t i = 0; i < slots; ++i) block[i].life.initialise();
  publish_once(block, thread_table().chunks[chunk]);
}

// One past the highest slot there is.
std::uint32_t limit() noexcept {
  std::size_t slots = 0;
  for (const auto& chunk : thread_table().chunks) {
    if (chunk.load(std::memory_order_acquire) == nullptr) break;
    slots = slots * 2 + first_chunk;
  }
  return static_cast<std::uint32_t>(slots + 1);
}

bool still_named(const ThreadSlot& slot) noexcept {
  return slot.held.load(std::memory_order_acquire) !=
         slot.given_back.load(std::memory_order_acquire);
}

// Locks the token for good. False: somebody else holds it. A dead holder is no obstacle, which
// is more than RobustMutex::try_lock promises; its mutex is its first and only member.
bool take_token(RobustMutex& life) noexcept {
  auto* mutex = reinterpret_cast<pthread_mutex_t*>(life.word());
  const int error = pthread_mutex_trylock(mutex);
  if (error == EOWNERDEAD) pthread_mutex_consistent(mutex);
  return error == 0 || error == EOWNERDEAD;
}

// Invariant 2. False: the slot has a living occupant, or one who is to be remembered.
bool vacate(ThreadSlot& slot, bool forget) noexcept {
  std::uint32_t occupancy = slot.occupancy.load(std::memory_order_acquire);
  if (occupancy % 2 == 0) return true;
  if (!slot.life.holder_died() || (!forget && still_named(slot))) return false;
  return slot.occupancy.compare_exchange_strong(occupancy, occupancy + 1,
                                                std::memory_order_acq_rel);
}

bool claim(ThreadSlot& slot, bool forget) noexcept {
  if (!vacate(slot, forget) || !take_token(slot.life)) return false;
  std::uint32_t occupancy = slot.occupancy.load(std::memory_order_acquire);
  if (occupancy % 2 != 0) {
    // Another thread had the slot meanwhile, and has died. Who took us for it must look again.
    slot.occupancy.store(++occupancy, std::memory_order_release);
    futex_wake(*reinterpret_cast<std::atomic<std::uint32_t>*>(slot.life.word()), INT_MAX);
  }
  slot.pid.store(getpid(), std::memory_order_relaxed);
  slot.tid.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_relaxed);
  slot.process = self_index();
  slot.process_generation = generation_of(self_index());
  slot.held.store(0, std::memory_order_relaxed);
  slot.given_back.store(0, std::memory_order_relaxed);
  static_assert(sizeof slot.process_name == sizeof self().name);
  auto& waits = slot.waits.sequence;  // a former occupant may have died waiting
  waits.store((waits.load(std::memory_order_relaxed) + 1) / 2 * 2, std::memory_order_relaxed);
  copy_text(slot.process_name, sizeof slot.process_name, self().name);
  slot.occupancy.store(occupancy + 1, std::memory_order_release);
  return true;
}

std::optional<std::uint32_t> claim_any(std::uint32_t slots, bool forget) noexcept {
  auto& next = thread_table().next;
  const std::uint32_t begin = next.load(std::memory_order_relaxed) % slots;
  for (std::uint32_t i = 0; i < slots; ++i) {
    const std::uint32_t number = (begin + i) % slots + 1;
    if (!claim(thread_slot(number), forget)) continue;
    next.store(number, std::memory_order_relaxed);
    return number;
  }
  return std::nullopt;
}

std::uint32_t claim_slot() {
  for (;;) {
    const std::uint32_t slots = limit() - 1;
    if (slots != 0) {
      if (const auto number = claim_any(slots, false)) return *number;
      if (slots >= grow_first) {
        if (const auto number = claim_any(slots, true)) return *number;
      }
    }
    const auto chunk = static_cast<std::size_t>(std::bit_width(slots / first_chunk + 1)) - 1;
    if (chunk == ThreadTable::most_chunks) {
      throw OutOfMemory("the table of threads is full: no more than " + std::to_string(slots) +
                        " threads of a family can use locks at once; end some");
    }
    add_chunk(chunk);
  }
}

// The word that fork_mark points to; its value is this process's epoch, never 0.
std::uint32_t current_epoch() {
  auto* mark = fork_mark.load(std::memory_order_acquire);
  if (mark == &no_mark) {
    void* page =
        mmap(nullptr, sizeof *mark, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw_system_error(errno, "map a page for the table of threads");
    if (madvise(page, sizeof *mark, MADV_WIPEONFORK) != 0) {
      // Some sandboxes refuse it. Then at least the forks that glibc sees are noticed.
      pthread_atfork(nullptr, nullptr, [] { fork_mark.load()->store(0); });
    }
    auto* made = new (page) std::atomic<std::uint32_t>(0);
    if (fork_mark.compare_exchange_strong(mark, made, std::memory_order_acq_rel)) {
      mark = made;
    } else {
      munmap(page, sizeof *mark);
    }
  }
  std::uint32_t epoch = 0;
  const std::uint32_t fresh = epochs.fetch_add(1, std::memory_order_relaxed) + 1;
  return mark->compare_exchange_strong(epoch, fresh, std::memory_order_acq_rel) ? fresh : epoch;
}

robust_list_head* find_robust_list() noexcept {
  robust_list_head* head = nullptr;
  std::size_t size = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &size) != 0) return nullptr;
  return size == sizeof(robust_list_head) ? head : nullptr;
}

// The kernel adds the offset and finds the bell.
robust_list* bell_entry(const robust_list_head* head) noexcept {
  if (head == nullptr) return nullptr;
  return reinterpret_cast<robust_list*>(reinterpret_cast<std::uintptr_t>(&thread_table().bell) -
                                        static_cast<std::uintptr_t>(head->futex_offset));
}

}  // namespace

constinit thread_local CallingThread calling_thread{unregistered, 0, nullptr, nullptr, nullptr};
constinit std::atomic<std::atomic<std::uint32_t>*> fork_mark{&no_mark};

ThreadTable& thread_table() noexcept {
  return *static_cast<ThreadTable*>(
      family_root(FamilyRoot::Threads).load(std::memory_order_acquire));
}

ThreadSlot& thread_slot(std::uint32_t slot) noexcept {
  const std::size_t n = slot - 1 + first_chunk;
  const auto chunk = static_cast<std::size_t>(std::bit_width(n / first_chunk)) - 1;
  auto* slots =
      static_cast<ThreadSlot*>(thread_table().chunks[chunk].load(std::memory_order_acquire));
  return slots[n - (first_chunk << chunk)];
}

bool is_thread_slot(std::uint32_t slot) noexcept { return slot - 1 < limit() - 1; }

const CallingThread& register_thread() {
  ensure_family();
  make_table();
  const std::uint32_t epoch = current_epoch();
  if (calling_thread.epoch == epoch) return calling_thread;
  const std::uint32_t number = claim_slot();
  ThreadSlot& slot = thread_slot(number);
  const Owner owner{number, slot.occupancy.load(std::memory_order_relaxed)};
  robust_list_head* robust = find_robust_list();
  calling_thread = {epoch, owner.word(), &slot, robust, bell_entry(robust)};
  return calling_thread;
}

}  // namespace procession::detail
