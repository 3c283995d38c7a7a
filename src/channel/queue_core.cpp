// A queue is a chain of rings (ring.hpp): items are put in at the first open position, and taken
// at the first one that is not gone. There are no locks, and no steps that anybody must finish for
// somebody else.
//
// Invariants:
//   1. A cell is changed from Empty by one instruction, with its item: what it points to is whole.
//      The block has the cell as its home before that.
//   2. There is one open position: up to it all have been put in, behind it none. Its cell is
//      Empty(its lap), as whoever puts in has first seen that the next one is; where it is not,
//      the position becomes a Link, and the next ring, twice as large, has position 0 open.
//   3. A Link or Closed stays so for ever. Rings go away with the queue.
//   4. `tail` and `first` name positions that are not behind the open one and the first that is
//      not gone. They only save looking at cells.
//   5. bases[k] is the number of positions in the rings before k; who comes past a Link writes it
//      before anybody is told of ring k. So positions of the whole queue can be counted:
//      size = open - first not gone; and `limit` is never beyond what may be put in.
//   6. A futex has a bit that says that somebody may be asleep on it, or about to be, having looked
//      once more since; and one for several. Who changes what they wait for is on duty
//      (sleeper.hpp) from before the change. It wakes one, if there are several and one is asleep;
//      else it takes the bits away and counts, so that none falls asleep late, and then wakes all.
//      Who falls asleep after its death finds the change itself: the cell it looked at, or `done`.
//   7. JoinableQueue: done <= positions put in; it is joined while they are equal.
// The single stores: put, close, grow: Empty to Word, Block, Closed, Link; get: Word to Empty, or
// Block to Taken (hands.hpp has what follows); task_done: `done`.
//
// Cells with a turn number, that producers and consumers take in order, are D. Vyukov's (bounded
// MPMC queue, 2010); his claim a cell before they fill it, which a process must not do that can
// be killed or stopped in between. Two words changed at once, and rings that are followed by
// others, are in A. Morrison and Y. Afek, "Fast Concurrent Queues for x86 Processors" (PPoPP 2013).
#include "procession/detail/queue_core.hpp"

#include <array>
#include <bit>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "channel/ring.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "procession/detail/wait_entry.hpp"
#include "procession/errors.hpp"
#include "sync/adaptive_spin.hpp"
#include "sync/sleeper.hpp"
#include "sync/wait_source.hpp"

namespace procession::detail {
namespace {

// Frees the items with the ring that they are in.
const bool finalizer_set = [] {
  set_block_finalizer(BlockKind::Ring, [](void* block) noexcept {
    auto* cells = static_cast<Place*>(block);
    for (std::size_t i = 0; i < block_size(block) / sizeof(Place); ++i) {
      if (kind_of(cells[i].state.load(std::memory_order_acquire)) != CellKind::Block) continue;
      deallocate_if_home(cells[i].block.load(std::memory_order_acquire), cells[i].block);
    }
  });
  return true;
}();

void add_ring(QueueShared& queue, std::uint32_t number) {
  if (number >= QueueShared::ring_count) throw std::bad_alloc();  // beyond the family's reserve
  if (queue.rings[number].load(std::memory_order_acquire) != nullptr) return;
  void* block = allocate(sizeof(Place) << (Ring::first_shift + number), BlockKind::Ring);
  std::memset(block, 0, block_size(block));
  if (!hand_over_first(block, queue.rings[number])) deallocate(block);
}

// Invariant 5.
Position past_link(QueueShared& queue, const Position& link) noexcept {
  queue.bases[link.ring + 1].store(queue.bases[link.ring].load(std::memory_order_relaxed) + link.at,
                                   std::memory_order_relaxed);
  return {link.ring + 1, 0};
}

std::uint64_t count_of(const QueueShared& queue, const Position& position) noexcept {
  return queue.bases[position.ring].load(std::memory_order_relaxed) + position.at;
}

struct Found {
  Position position;
  Finding finding;
  std::uint64_t state;
};

// A cell that is laps ahead of an old hint says that what was there a lap before is past, too.
std::uint64_t next_after(const Ring& ring, const Found& here) noexcept {
  const std::uint64_t lap = here.state >> 4;
  if (kind_of(here.state) == CellKind::Taken || lap <= ring.lap(here.position.at) + 1) {
    return here.position.at + 1;
  }
  return here.position.at + ((lap - 1 - ring.lap(here.position.at)) << ring.shift) + 1;
}

template <class Passed>
[[gnu::noinline]] Found walk_on(QueueShared& queue, std::atomic<std::uint64_t>& hint, Found here,
                                Passed passed) noexcept {
  const Position begin = here.position;
  Ring ring = ring_of(queue, begin.ring);
  for (;; here.finding = find_at(ring, here.position.at, here.state)) {
    if (here.finding == Finding::Link) {
      here.position = past_link(queue, here.position);
      ring = ring_of(queue, here.position.ring);
    } else if (passed(here.finding)) {
      here.position.at = next_after(ring, here);
    } else {
      break;
    }
  }
  if (here.position.word() != begin.word()) {
    hint.store(here.position.word(), std::memory_order_release);
  }
  return here;
}

// The first position from the hint on that is none of `passed`.
template <class Passed>
[[gnu::always_inline]] inline Found walk(QueueShared& queue, std::atomic<std::uint64_t>& hint,
                                         Passed passed) noexcept {
  Found here{Position::from(hint.load(std::memory_order_acquire)), Finding::Gone, 0};
  const Ring ring = ring_of(queue, here.position.ring);
  here.finding = find_at(ring, here.position.at, here.state);
  if (here.finding != Finding::Link && !passed(here.finding)) [[likely]]
    return here;
  return walk_on(queue, hint, here, passed);
}

// The open position, or the one of Closed.
Found find_tail(QueueShared& queue) noexcept {
  return walk(queue, queue.tail,
              [](Finding found) { return found == Finding::Gone || found == Finding::Item; });
}

// The first item, or where there will be one; or Closed.
Found find_first(QueueShared& queue) noexcept {
  return walk(queue, queue.first, [](Finding found) { return found == Finding::Gone; });
}

// --- sleeping and waking (invariant 6) --------------------------------------------------------

constexpr std::uint32_t asleep_bit = 1;
constexpr std::uint32_t several_bit = 2;
constexpr std::uint32_t one_change = 4;

// REQUIRES (both): on duty since before the change. After the store here nobody falls asleep who
// has not seen the change, and the bits are off: so all are woken who sleep.
void wake_all(std::atomic<std::uint32_t>& futex) noexcept {
  std::uint32_t word = futex.load(std::memory_order_seq_cst);
  while ((word & asleep_bit) != 0) {
    const std::uint32_t awake = (word & ~(asleep_bit | several_bit)) + one_change;
    if (!futex.compare_exchange_weak(word, awake, std::memory_order_acq_rel)) continue;
    futex_wake(futex, INT_MAX);
    return;
  }
}

// For a change that is for one of them. Where there are several, one is woken and the bits stay.
void wake_one(std::atomic<std::uint32_t>& futex) noexcept {
  const std::uint32_t word = futex.load(std::memory_order_seq_cst);
  if ((word & asleep_bit) == 0) return;
  if ((word & several_bit) != 0 && futex_wake(futex, 1) > 0) return;
  wake_all(futex);
}

// What the futex is while the caller may sleep, if it looks once more before that.
std::uint32_t announce_sleep(std::atomic<std::uint32_t>& futex) noexcept {
  std::uint32_t word = futex.load(std::memory_order_seq_cst);
  for (;;) {
    const bool others = (word & asleep_bit) != 0;
    const std::uint32_t asleep = word | asleep_bit | (others ? several_bit : 0);
    if (asleep == word) return word;
    if (futex.compare_exchange_weak(word, asleep, std::memory_order_seq_cst)) return asleep;
  }
}

bool expired(TimePoint deadline) noexcept {
  return deadline != TimePoint::max() &&
         (deadline == at_once || TimePoint::clock::now() >= deadline);
}

const std::atomic<std::uint32_t>& low_half_of(const std::atomic<std::uint64_t>& word) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const void* low_half = &word;  // for the kernel's eyes only
  return *static_cast<const std::atomic<std::uint32_t>*>(low_half);
}

// What an attempt in vain has found.
using Findings = std::array<Unchanged, most_unchanged>;

// What the word of an attempt in vain was; it will be another when there is more to attempt.
Unchanged as_found(const std::atomic<std::uint64_t>& word, std::uint64_t found) noexcept {
  return {&low_half_of(word), static_cast<std::uint32_t>(found)};
}

// Whether many items went by since somebody waited last: then a later look finds several, and does
// not disturb who is busy with them meanwhile.
bool in_a_stream(SpinHints& hints, std::uint64_t at) noexcept {
  constexpr std::uint32_t many = 8;
  const auto now = static_cast<std::uint32_t>(at);
  return now - hints.at.exchange(now, std::memory_order_relaxed) >= many;
}

// Calls attempt(found) until it is done, closed, or the time is over. In vain, it says what it has
// `found`. It is called on duty, and must not allocate.
template <class Attempt>
QueueOutcome repeat(std::atomic<std::uint32_t>& futex, SpinHints& hints, std::uint64_t at,
                    TimePoint deadline, Attempt attempt) {
  Findings found;
  if (deadline == at_once) return QueueOutcome::TimedOut;
  for (AdaptiveSpin spin(hints.learned, in_a_stream(hints, at)); spin.once();) {
    const QueueOutcome outcome = attempt(found);
    if (outcome == QueueOutcome::TimedOut) continue;
    spin.succeeded();
    return outcome;
  }
  Sleeper sleeper(this_thread(), futex);
  for (;;) {
    const std::uint32_t word = announce_sleep(futex);
    const QueueOutcome outcome = attempt(found);
    if (outcome != QueueOutcome::TimedOut || expired(deadline)) return outcome;
    (void)sleeper.sleep(word, deadline == TimePoint::max() ? Deadline() : deadline, found);
  }
}

// --- put -------------------------------------------------------------------------------------

enum class Step { Done, Full, Closed, Grow };

// Whether one more than `count` may be put in. If not: the item that is to be taken first.
bool has_room(QueueShared& queue, std::uint64_t count, Findings& found) noexcept {
  if (queue.maxsize == 0 || count < queue.limit.load(std::memory_order_relaxed)) return true;
  const Found first = find_first(queue);
  const std::uint64_t limit = count_of(queue, first.position) + queue.maxsize;
  queue.limit.store(limit, std::memory_order_relaxed);
  found[0] =
      as_found(ring_of(queue, first.position.ring).cell(first.position.at).state, first.state);
  return count < limit;
}

Step try_put(QueueShared& queue, const QueueItem& item, const CallingThread& me,
             Findings& found) noexcept {
  for (;;) {
    const Found tail = find_tail(queue);
    if (tail.finding == Finding::Closed) return Step::Closed;
    const Position& open = tail.position;
    const Ring ring = ring_of(queue, open.ring);
    if (!has_room(queue, count_of(queue, open), found)) {
      found[1] = as_found(ring.cell(open.at).state, tail.state);  // it may be closed
      return Step::Full;
    }
    if (ring.cell(open.at + 1).state.load(std::memory_order_acquire) !=
        cell_state(ring.lap(open.at + 1), CellKind::Empty)) {
      return Step::Grow;
    }
    Place& cell = ring.cell(open.at);
    if (item.in_block) set_home(item.bits, cell.block);
    Sleeper waker(me, queue.items);
    waker.go_on_duty();
    const auto kind = item.in_block ? CellKind::Block : CellKind::Word;
    if (cell.replace(tail.state, nullptr, cell_state(ring.lap(open.at), kind), item.bits)) {
      queue.tail.store(Position{open.ring, open.at + 1}.word(), std::memory_order_release);
      wake_one(queue.items);
      return Step::Done;
    }
  }
}

// Invariant 2. REQUIRES: not on duty.
void grow(QueueShared& queue) {
  const Found tail = find_tail(queue);
  if (tail.finding == Finding::Closed) return;
  const Position& open = tail.position;
  const Ring ring = ring_of(queue, open.ring);
  if (ring.cell(open.at + 1).state.load(std::memory_order_acquire) ==
      cell_state(ring.lap(open.at + 1), CellKind::Empty)) {
    return;
  }
  add_ring(queue, open.ring + 1);
  (void)ring.cell(open.at).replace(tail.state, nullptr,
                                   cell_state(ring.lap(open.at), CellKind::Link), nullptr);
}

// --- get -------------------------------------------------------------------------------------

// REQUIRES: `first` is an item in its cell. False: somebody else was faster.
bool take_word(const Found& first, Place& cell, std::uint64_t lap, void*& bits) noexcept {
  bits = cell.block.load(std::memory_order_acquire);
  return cell.replace(first.state, bits, cell_state(lap + 1, CellKind::Empty), nullptr);
}

bool take_block(const Found& first, Place& cell, std::uint64_t lap, HeldHand& hand,
                void*& bits) noexcept {
  bits = cell.block.load(std::memory_order_acquire);
  const std::uint64_t mine = taken_state(lap, self_index());
  hand->begin(cell, mine, cell_state(lap + 1, CellKind::Empty));
  if (!cell.replace(first.state, bits, mine, bits)) {
    hand->give_up();
    return false;
  }
  hand->close_on(bits);
  return true;
}

QueueOutcome try_get(QueueShared& queue, HeldHand* hand, void*& bits, const CallingThread& me,
                     Findings& found) noexcept {
  for (;;) {
    const Found first = find_first(queue);
    if (first.finding == Finding::Closed) return QueueOutcome::Closed;
    const Position& at = first.position;
    const Ring ring = ring_of(queue, at.ring);
    Place& cell = ring.cell(at.at);
    if (first.finding == Finding::Open) {
      found[0] = as_found(cell.state, first.state);
      return QueueOutcome::TimedOut;
    }
    Sleeper waker(me, queue.space);
    if (queue.maxsize != 0) waker.go_on_duty();
    const std::uint64_t lap = ring.lap(at.at);
    if (hand == nullptr ? !take_word(first, cell, lap, bits)
                        : !take_block(first, cell, lap, *hand, bits)) {
      continue;
    }
    queue.first.store(Position{at.ring, at.at + 1}.word(), std::memory_order_release);
    if (queue.maxsize != 0) wake_one(queue.space);
    return QueueOutcome::Done;
  }
}

// --- among other things (wait_source.hpp) ------------------------------------------------------

QueueShared& queue_at(void* object) noexcept { return *static_cast<QueueShared*>(object); }

// What a get would find, without taking it. In vain: `found` is what a change would change.
bool something_there(QueueShared& queue, Unchanged& found) noexcept {
  const Found first = find_first(queue);
  if (first.finding != Finding::Open) return true;
  const Position& at = first.position;
  found = as_found(ring_of(queue, at.ring).cell(at.at).state, first.state);
  return false;
}

constexpr WaitOperations queue_wait{
    .begin = [](void*) noexcept -> std::uint64_t { return 0; },
    .ready =
        [](void* queue, std::uint64_t) {
          Unchanged ignored;
          return something_there(queue_at(queue), ignored);
        },
    .prepare =
        [](void* queue, std::uint64_t, SleepWord& word) {
          word.word = &queue_at(queue).items;
          word.expected = announce_sleep(queue_at(queue).items);
          return something_there(queue_at(queue), word.also[0]);
        },
    .pass_on =
        [](void* queue) noexcept {
          Unchanged ignored;
          if (something_there(queue_at(queue), ignored)) wake_one(queue_at(queue).items);
        },
    .end = [](void*) noexcept {},
};

std::string queue_text(const QueueShared& queue) {
  return queue.head.name[0] == '\0' ? "an unnamed queue"
                                    : "queue '" + std::string(queue.head.name) + "'";
}

}  // namespace

struct QueueAccess {
  static HeldHand* give_hand(TakenItem& item) {
    static_assert(sizeof(HeldHand) <= sizeof item.hand_ && alignof(HeldHand) <= 8);
    auto* hand = new (item.hand_) HeldHand;
    item.held_ = true;
    return hand;
  }
  static HeldHand* hand_of(TakenItem& item) noexcept {
    return item.held_ ? std::launder(reinterpret_cast<HeldHand*>(item.hand_)) : nullptr;
  }
  static void*& bits_of(TakenItem& item) noexcept { return item.bits_; }
};

TakenItem::~TakenItem() {
  if (HeldHand* hand = QueueAccess::hand_of(*this)) std::destroy_at(hand);
}

Object* create_queue(std::size_t maxsize, bool joinable, std::string_view name) {
  (void)finalizer_set;
  Object* object =
      create_object(ObjectKind::Queue, sizeof(QueueShared), name, QueueShared::ring_count);
  auto& queue = *reinterpret_cast<QueueShared*>(object);
  try {
    queue.maxsize = maxsize;
    queue.joinable = joinable ? 1 : 0;
    queue.limit.store(maxsize, std::memory_order_relaxed);
    add_ring(queue, 0);
  } catch (...) {
    release(object);
    throw;
  }
  return object;
}

QueueOutcome queue_put(QueueShared& queue, QueueItem item, TimePoint deadline) {
  const CallingThread& me = this_thread();
  for (;;) {
    Findings ignored;
    Step step = try_put(queue, item, me, ignored);
    if (step == Step::Full) {
      const std::uint64_t at = queue.tail.load(std::memory_order_relaxed);
      const QueueOutcome outcome =
          repeat(queue.space, queue.space_spin, at, deadline, [&](Findings& found) {
            step = try_put(queue, item, me, found);
            if (step == Step::Grow) wake_one(queue.space);  // somebody else, until it is done
            return step == Step::Full ? QueueOutcome::TimedOut : QueueOutcome::Done;
          });
      if (outcome == QueueOutcome::TimedOut) return outcome;
    }
    if (step == Step::Done) return QueueOutcome::Done;
    if (step == Step::Closed) return QueueOutcome::Closed;
    grow(queue);
  }
}

QueueOutcome queue_get(QueueShared& queue, TakenItem& item, bool blocks, TimePoint deadline) {
  const CallingThread& me = this_thread();
  HeldHand* hand = blocks ? QueueAccess::give_hand(item) : nullptr;
  void*& bits = QueueAccess::bits_of(item);
  Findings ignored;
  const QueueOutcome outcome = try_get(queue, hand, bits, me, ignored);
  if (outcome != QueueOutcome::TimedOut) return outcome;
  const std::uint64_t at = queue.first.load(std::memory_order_relaxed);
  return repeat(queue.items, queue.items_spin, at, deadline,
                [&](Findings& found) { return try_get(queue, hand, bits, me, found); });
}

void queue_close(QueueShared& queue) {
  Sleeper waker(this_thread(), queue.items);
  waker.go_on_duty();
  for (;;) {
    const Found tail = find_tail(queue);
    if (tail.finding == Finding::Closed) break;
    const Ring ring = ring_of(queue, tail.position.ring);
    const std::uint64_t lap = ring.lap(tail.position.at);
    if (ring.cell(tail.position.at)
            .replace(tail.state, nullptr, cell_state(lap, CellKind::Closed), nullptr)) {
      break;
    }
  }
  wake_all(queue.items);
  wake_all(queue.space);
}

std::size_t queue_size(QueueShared& queue) {
  for (;;) {
    const std::uint64_t first = count_of(queue, find_first(queue).position);
    const std::uint64_t open = count_of(queue, find_tail(queue).position);
    if (count_of(queue, find_first(queue).position) == first) {
      return static_cast<std::size_t>(open - first);
    }
  }
}

bool queue_full(QueueShared& queue) {
  return queue.maxsize != 0 && queue_size(queue) >= queue.maxsize;
}

void queue_task_done(QueueShared& queue) {
  Sleeper waker(this_thread(), queue.finished);
  waker.go_on_duty();
  std::uint64_t done = queue.done.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t put = count_of(queue, find_tail(queue).position);
    if (done >= put) {
      waker.go_off_duty();
      throw StateError("task_done() of " + queue_text(queue) + " was called " +
                       std::to_string(done + 1) + " times, but only " + std::to_string(put) +
                       " items were put in; call it once for each item taken");
    }
    if (!queue.done.compare_exchange_weak(done, done + 1, std::memory_order_seq_cst)) continue;
    if (done + 1 == count_of(queue, find_tail(queue).position)) {
      wake_all(queue.finished);
    }
    return;
  }
}

bool queue_join(QueueShared& queue, TimePoint deadline) {
  const auto joined = [&](Findings& found) {
    const std::uint64_t done = queue.done.load(std::memory_order_seq_cst);
    found[0] = as_found(queue.done, done);
    return done == count_of(queue, find_tail(queue).position) ? QueueOutcome::Done
                                                              : QueueOutcome::TimedOut;
  };
  Findings ignored;
  return joined(ignored) == QueueOutcome::Done ||
         repeat(queue.finished, queue.finished_spin, 0, deadline, joined) == QueueOutcome::Done;
}

WaitEntry queue_entry(QueueShared& queue) noexcept {
  return {.operations = &queue_wait, .object = &queue};
}

void throw_queue_empty(const QueueShared& queue) {
  throw QueueEmpty("nothing came out of " + queue_text(queue) +
                   " in the time given; it stayed empty");
}

void throw_queue_full(const QueueShared& queue) {
  throw QueueFull(queue_text(queue) + " is full, with " + std::to_string(queue.maxsize) +
                  " items; put() waits until one is taken");
}

void throw_queue_closed(const QueueShared& queue, bool putting) {
  throw QueueClosed(queue_text(queue) + " is closed" +
                    (putting ? "; nothing can be put in any more"
                             : " and has no items left; nothing will come out any more"));
}

}  // namespace procession::detail
