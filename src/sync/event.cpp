// The word of an Event: bit 0: set; bit 1: somebody may be asleep; above: how often it was set.
//
// Invariants:
//   1. Bit 1 is set only while bit 0 is not. Who sleeps has found it set in the same system call.
//   2. The count grows with each set() that changes bit 0. So a sleeper that finds another count
//      was there when the event was set, whatever bit 0 says by now.
// The single stores: set: the compare-exchange that counts; clear: the one that takes bit 0 away.
#include "procession/event.hpp"

#include "procession/detail/wait_entry.hpp"
#include "sync/sleeper.hpp"
#include "sync/thread_table.hpp"
#include "sync/wait_source.hpp"
#include "system/futex.hpp"

namespace procession {

namespace {

constexpr std::uint32_t set_bit = 1;
constexpr std::uint32_t sleepers_bit = 2;
constexpr std::uint32_t one_set = 4;

std::uint32_t count_of(std::uint32_t word) noexcept { return word / one_set; }

bool was_set(std::uint32_t word, std::uint32_t count) noexcept {
  return (word & set_bit) != 0 || count_of(word) != count;
}

// Ready when it is set, or was since the count was `count`; else nobody can fall asleep on the word
// who would not be woken. `now`: what it is.
bool prepare_sleep(std::atomic<std::uint32_t>& word, std::uint32_t count,
                   std::uint32_t& now) noexcept {
  now = word.load(std::memory_order_acquire);
  for (;;) {
    if (was_set(now, count)) return true;
    if ((now & sleepers_bit) != 0) return false;
    if (word.compare_exchange_weak(now, now | sleepers_bit, std::memory_order_acq_rel)) {
      now |= sleepers_bit;
      return false;
    }
  }
}

detail::EventShared& event_at(void* object) noexcept {
  return *static_cast<detail::EventShared*>(object);
}

constexpr detail::WaitOperations event_wait{
    .begin = [](void* event) noexcept -> std::uint64_t {
      return count_of(event_at(event).word.load(std::memory_order_acquire));
    },
    .ready =
        [](void* event, std::uint64_t since) {
          return was_set(event_at(event).word.load(std::memory_order_acquire),
                         static_cast<std::uint32_t>(since));
        },
    .prepare =
        [](void* event, std::uint64_t since, detail::SleepWord& word) {
          word.word = &event_at(event).word;
          return prepare_sleep(event_at(event).word, static_cast<std::uint32_t>(since),
                               word.expected);
        },
    .pass_on = [](void*) noexcept {},  // a set() wakes all
    .end = [](void*) noexcept {},
};

}  // namespace

namespace detail {

WaitEntry event_entry(EventShared& event) noexcept {
  return {.operations = &event_wait, .object = &event};
}

}  // namespace detail

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
    if (prepare_sleep(word, count, now)) return true;
    if (!in_time) return false;
    in_time = sleeper.sleep(now, limit) != detail::WaitResult::TimedOut;
  }
}

}  // namespace procession
