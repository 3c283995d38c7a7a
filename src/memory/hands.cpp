#include "memory/hands.hpp"

#include <cstring>
#include <mutex>
#include <vector>

#include "memory/family.hpp"
#include "memory/heap.hpp"

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

}  // namespace

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
