#include "sync/permits.hpp"

#include <algorithm>

#include "sync/slot_chunks.hpp"

namespace procession::detail {
namespace {

using Entries = SlotChunks<PermitEntry>;
static_assert(SemaphoreShared::chunk_count == Entries::chunk_count);
static_assert(Entries::chunk_count == ThreadTable::most_chunks);

PermitEntry* find_entry(const SemaphoreShared& shared, std::uint32_t slot) noexcept {
  return Entries::find(shared.chunks, slot);
}

std::uint64_t pack(std::uint32_t generation, std::uint32_t count) noexcept {
  return std::uint64_t{generation} << 32 | count;
}
std::uint32_t count_of(std::uint64_t entry) noexcept { return static_cast<std::uint32_t>(entry); }
std::uint32_t generation_of_entry(std::uint64_t entry) noexcept {
  return static_cast<std::uint32_t>(entry >> 32);
}

// Calls visit(owner, count) for each entry that holds something.
template <class Visit>
void for_each_holder(SemaphoreShared& shared, Visit visit) {
  Entries::for_each(shared.chunks, [&](std::uint32_t slot, const PermitEntry& each) {
    const std::uint64_t entry = each.load(std::memory_order_acquire);
    if (count_of(entry) != 0) visit(Owner{slot, generation_of_entry(entry)}, count_of(entry));
  });
}

bool is_dead(const Owner& owner) noexcept {
  return owner_is_dead(thread_slot(owner.slot), owner.generation);
}

}  // namespace

void make_entry(SemaphoreShared& shared, const CallingThread& me) {
  (void)Entries::make(shared.chunks, Owner::from(me.owner).slot);
}

std::uint32_t held_by(const SemaphoreShared& shared, const CallingThread& me) noexcept {
  const Owner owner = Owner::from(me.owner);
  const PermitEntry* entry = find_entry(shared, owner.slot);
  if (entry == nullptr) return 0;
  const std::uint64_t now = entry->load(std::memory_order_acquire);
  return generation_of_entry(now) == owner.generation ? count_of(now) : 0;
}

bool add_bare(SemaphoreShared& shared, PermitWaker& waker, std::uint32_t count) noexcept {
  std::uint64_t word = shared.word.load(std::memory_order_acquire);
  for (;;) {
    if (PermitWord::value(word) + std::uint64_t{count} > shared.most) return false;
    const bool asleep = (word & PermitWord::asleep_bit) != 0;
    if (asleep) waker.prepare();
    const std::uint64_t now = (word + count * PermitWord::one) & ~PermitWord::asleep_bit;
    if (!shared.word.compare_exchange_weak(word, now, std::memory_order_acq_rel)) continue;
    if (asleep) waker.owe(count);
    return true;
  }
}

bool announce_sleep(SemaphoreShared& shared) noexcept {
  std::uint64_t word = shared.word.load(std::memory_order_acquire);
  while (PermitWord::value(word) == 0) {
    if ((word & PermitWord::asleep_bit) != 0) return true;
    if (shared.word.compare_exchange_weak(word, word | PermitWord::asleep_bit,
                                          std::memory_order_acq_rel)) {
      return true;
    }
  }
  return false;
}

// Invariant 2.
void PermitBooks::finish_log() noexcept {
  PermitLog& log = shared_.log;
  if (log.active.load(std::memory_order_acquire) == 0) return;
  if (PermitWord::tag(shared_.word.load(std::memory_order_acquire)) == log.tag) {
    find_entry(shared_, log.slot)
        ->store(pack(log.generation, log.count), std::memory_order_release);
  }
  log.active.store(0, std::memory_order_release);
}

// Invariant 1: the owner's entry becomes `count`, and the value changes `by` so much. False: there
// is no permit to take. REQUIRES: the owner has an entry.
bool PermitBooks::change(const Owner& owner, std::uint32_t count, std::int64_t by) noexcept {
  std::uint64_t word = shared_.word.load(std::memory_order_acquire);
  PermitLog& log = shared_.log;
  log.slot = owner.slot;
  log.generation = owner.generation;
  log.count = count;
  log.tag = PermitWord::tag(word) ^ 1;
  log.active.store(1, std::memory_order_release);
  for (;;) {
    // Bare permits may have filled it up meanwhile.
    const std::int64_t value =
        std::min(PermitWord::value(word) + by, static_cast<std::int64_t>(shared_.most));
    if (value < 0) {
      log.active.store(0, std::memory_order_release);
      return false;
    }
    const bool wakes = by > 0 && (word & PermitWord::asleep_bit) != 0;
    if (wakes) waker_.prepare();
    const std::uint64_t kept = wakes ? 0 : word & PermitWord::asleep_bit;
    const std::uint64_t now =
        static_cast<std::uint64_t>(value) << 32 | static_cast<std::uint64_t>(log.tag) << 63 | kept;
    if (!shared_.word.compare_exchange_weak(word, now, std::memory_order_acq_rel)) continue;
    if (wakes) waker_.owe(static_cast<std::uint64_t>(by));
    break;
  }
  find_entry(shared_, owner.slot)->store(pack(owner.generation, count), std::memory_order_release);
  log.active.store(0, std::memory_order_release);
  return true;
}

bool PermitBooks::take() {
  const Owner mine = Owner::from(me_.owner);
  const std::uint64_t entry = find_entry(shared_, mine.slot)->load(std::memory_order_acquire);
  const std::uint32_t generation = generation_of_entry(entry);
  std::uint32_t held = count_of(entry);
  if (generation != mine.generation && held != 0) {
    (void)give({mine.slot, generation}, held);  // who had this slot before has ended
    held = 0;
  }
  if (generation != mine.generation) held = 0;
  shared_.tracked.store(1, std::memory_order_release);
  return change(mine, held + 1, -1);
}

std::uint32_t PermitBooks::give(const Owner& owner, std::uint32_t count) noexcept {
  const PermitEntry* entry = find_entry(shared_, owner.slot);
  if (entry == nullptr) return 0;
  const std::uint64_t now = entry->load(std::memory_order_acquire);
  if (generation_of_entry(now) != owner.generation) return 0;
  const std::uint32_t given = std::min(count, count_of(now));
  if (given != 0) (void)change(owner, count_of(now) - given, given);
  return given;
}

void PermitBooks::settle_deaths() noexcept {
  for_each_holder(shared_, [&](const Owner& owner, std::uint32_t count) {
    if (is_dead(owner)) (void)give(owner, count);
  });
}

std::vector<Owner> PermitBooks::collect() {
  std::vector<Owner> owners;
  for_each_holder(shared_, [&](const Owner& owner, std::uint32_t count) {
    if (is_dead(owner)) {
      (void)give(owner, count);
    } else if (owner.word() != me_.owner) {
      owners.push_back(owner);
    }
  });
  return owners;
}

}  // namespace procession::detail
