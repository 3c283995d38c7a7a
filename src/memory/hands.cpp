#include "memory/hands.hpp"

#include <cstring>
#include <mutex>
#include <vector>

#include "memory/family.hpp"
#include "memory/heap.hpp"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PROCESSION_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define PROCESSION_TSAN 1
#endif
#if defined(PROCESSION_TSAN)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace procession::detail {
namespace {

struct HandChunk {
  static constexpr std::size_t count = 15;
  std::atomic<void*> next;
  Hand hands[count];
};

// Of this process.
struct HandPool {
  unsigned epoch;
  HandPool* inherited;  // the parent's, before a fork; never used again
  std::mutex mutex{};
  std::vector<Hand*> unused{};
};

// A child of a fork has hands of its own and must not trust its parent's mutex.
HandPool& pool() {
  static constinit std::atomic<HandPool*> current{nullptr};
  const unsigned epoch = fork_epoch();
  HandPool* known = current.load(std::memory_order_acquire);
  while (known == nullptr || known->epoch != epoch) {
    auto* fresh = new HandPool{epoch, known};
    if (current.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
  }
  return *known;
}

// A link may outlive its chunk for a moment: the chunk's own header decides.
HandChunk* chunk_at(const std::atomic<void*>& link) noexcept {
  void* block = link.load(std::memory_order_acquire);
  return block != nullptr && has_home(block, link) ? static_cast<HandChunk*>(block) : nullptr;
}

// REQUIRES: the pool's mutex.
void add_hands(HandPool& mine) {
  mine.unused.reserve(mine.unused.size() + HandChunk::count);
  auto* chunk = static_cast<HandChunk*>(allocate(sizeof(HandChunk)));
  std::memset(static_cast<void*>(chunk), 0, sizeof(HandChunk));
  std::atomic<void*>* link = &self().hands;
  while (auto* last = chunk_at(*link)) link = &last->next;
  hand_over(chunk, *link);
  for (Hand& hand : chunk->hands) mine.unused.push_back(&hand);
}

bool replace_pair(void* pair, std::uint64_t& low, std::uint64_t& high, std::uint64_t new_low,
                  std::uint64_t new_high) noexcept {
#if defined(__x86_64__)
  __extension__ using Pair = unsigned __int128;
  bool done;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(done), "+m"(*static_cast<Pair*>(pair)), "+a"(low), "+d"(high)
               : "b"(new_low), "c"(new_high)
               : "memory");
  return done;
#elif defined(__aarch64__)
  std::uint64_t found_low, found_high;
  std::uint32_t failed;
  do {
    asm volatile("ldaxp %0, %1, [%2]" : "=&r"(found_low), "=&r"(found_high) : "r"(pair) : "memory");
    const bool same = found_low == low && found_high == high;
    // A pair that was read is whole only if it can be written back.
    asm volatile("stlxp %w0, %2, %3, [%1]"
                 : "=&r"(failed)
                 : "r"(pair), "r"(same ? new_low : found_low), "r"(same ? new_high : found_high)
                 : "memory");
    if (failed == 0 && !same) return false;
  } while (failed != 0);
  asm volatile("dmb ish" ::: "memory");
  return true;
#else
#error "no instruction is known here that changes two words as one"
#endif
}

}  // namespace

bool Place::replace(std::uint64_t state_before, void* block_before, std::uint64_t state_after,
                    void* block_after) noexcept {
  static_assert(sizeof(Place) == 16);
#if defined(PROCESSION_TSAN)
  __tsan_release(this);
#endif
  auto high = reinterpret_cast<std::uint64_t>(block_before);
  const bool done = replace_pair(this, state_before, high, state_after,
                                 reinterpret_cast<std::uint64_t>(block_after));
#if defined(PROCESSION_TSAN)
  __tsan_acquire(this);
#endif
  return done;
}

void Hand::begin(Place& place, std::uint64_t mark_by_me, std::uint64_t state_after) noexcept {
  mark = mark_by_me;
  after = state_after;
  from.store(&place, std::memory_order_release);
}

void Hand::close_on(void* taken) noexcept {
  Place& place = *from.load(std::memory_order_relaxed);
  block.store(taken, std::memory_order_release);
  set_home(taken, block);
  place.block.store(nullptr, std::memory_order_release);
  place.state.store(after, std::memory_order_release);
  from.store(nullptr, std::memory_order_release);
}

void Hand::drop() noexcept {
  void* held = block.load(std::memory_order_acquire);
  if (held == nullptr) return;
  if (has_home(held, block)) deallocate(held);
  block.store(nullptr, std::memory_order_release);
}

HeldHand::HeldHand() {
  ensure_family();
  epoch_ = fork_epoch();
  HandPool& mine = pool();
  std::lock_guard guard(mine.mutex);
  if (mine.unused.empty()) add_hands(mine);
  hand_ = mine.unused.back();
  mine.unused.pop_back();
}

HeldHand::~HeldHand() {
  if (epoch_ != fork_epoch()) return;
  hand_->drop();
  HandPool& mine = pool();
  std::lock_guard guard(mine.mutex);
  mine.unused.push_back(hand_);
}

void drop_hands(std::uint32_t slot) noexcept {
  auto& home = slot_at(slot).hands;
  for (auto* chunk = chunk_at(home); chunk != nullptr; chunk = chunk_at(chunk->next)) {
    for (Hand& hand : chunk->hands) {
      Place* from = hand.from.load(std::memory_order_acquire);
      if (from != nullptr && from->state.load(std::memory_order_acquire) == hand.mark) {
        if (void* left = from->block.load(std::memory_order_acquire); left != nullptr) {
          deallocate_if_home(left, from->block);
          from->block.store(nullptr, std::memory_order_release);
        }
        from->state.store(hand.after, std::memory_order_release);
      }
      hand.give_up();
      hand.drop();
    }
  }
  // The last chunk first: what hangs there is whole at every moment.
  while (chunk_at(home) != nullptr) {
    std::atomic<void*>* link = &home;
    auto* chunk = chunk_at(home);
    while (auto* next = chunk_at(chunk->next)) {
      link = &chunk->next;
      chunk = next;
    }
    deallocate_if_home(chunk, *link);
    link->store(nullptr, std::memory_order_release);
  }
}

}  // namespace procession::detail
