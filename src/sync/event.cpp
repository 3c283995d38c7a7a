// The word of an Event: bit 0: set; bit 1: somebody may be asleep; above: how often it was set.
//
// Invariants:
//   1. Bit 1 is set only while bit 0 is not. Who sleeps has found it set in the same system call.
//   2. The count grows with each set() that changes bit 0. So a sleeper that finds another count
//      was there when the event was set, whatever bit 0 says by now.
// The single stores: set: the compare-exchange that counts; clear: the one that takes bit 0 away.
#include "procession/event.hpp"

#include "sync/sleeper.hpp"
#include "sync/thread_table.hpp"
#include "system/futex.hpp"

namespace procession {

namespace {

constexpr std::uint32_t set_bit = 1;
constexpr std::uint32_t sleepers_bit = 2;
constexpr std::uint32_t one_set = 4;

std::uint32_t count_of(std::uint32_t word) noexcept { return word / one_set; }

}  // namespace

Event::Event(const Name& name)
    : HandleBase(detail::create_object(detail::ObjectKind::Event, sizeof(detail::EventShared),
                                       name.text)) {}

Event Event::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return Event(object);
}

void Event::set() const {
  auto& word = shared().word;
  std::uint32_t old = word.load(std::memory_order_acquire);
  while ((old & set_bit) == 0) {
    const std::uint32_t now = (count_of(old) + 1) * one_set | set_bit;
    if ((old & sleepers_bit) == 0) {
      if (word.compare_exchange_weak(old, now, std::memory_order_acq_rel)) return;
      continue;
    }
    detail::Sleeper waker(detail::this_thread(), word);
    waker.go_on_duty();
    if (word.compare_exchange_weak(old, now, std::memory_order_acq_rel)) return waker.wake_all();
  }
}

void Event::clear() const {
  auto& word = shared().word;
  std::uint32_t old = word.load(std::memory_order_acquire);
  while ((old & set_bit) != 0 &&
         !word.compare_exchange_weak(old, old & ~set_bit, std::memory_order_acq_rel)) {
  }
}

bool Event::is_set() const {
  return (shared().word.load(std::memory_order_acquire) & set_bit) != 0;
}

bool Event::wait_until(detail::TimePoint deadline) const {
  auto& word = shared().word;
  std::uint32_t now = word.load(std::memory_order_acquire);
  if ((now & set_bit) != 0) return true;
  const std::uint32_t count = count_of(now);
  if (deadline <= detail::TimePoint::clock::now()) return false;
  detail::Sleeper sleeper(detail::this_thread(), word);
  const auto limit = deadline == detail::TimePoint::max() ? detail::Deadline() : deadline;
  bool in_time = true;
  for (;;) {
    now = word.load(std::memory_order_acquire);
    if (count_of(now) != count || (now & set_bit) != 0) return true;
    if (!in_time) return false;
    if ((now & sleepers_bit) == 0 &&
        !word.compare_exchange_strong(now, now | sleepers_bit, std::memory_order_acq_rel)) {
      continue;
    }
    in_time = sleeper.sleep(now | sleepers_bit, limit) != detail::WaitResult::TimedOut;
  }
}

}  // namespace procession
