#include "channel/side_wait.hpp"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <exception>
#include <span>
#include <utility>

#include "channel/frame.hpp"
#include "system/errors.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

void poke(std::atomic<std::uint32_t>& word) noexcept {
  word.store(1, std::memory_order_seq_cst);
  futex_wake(word, INT_MAX);
}

// Blocks while all are as expected. Leaves the sleeper on duty.
void sleep_on(Sleeper& sleeper, std::span<const SleepWord> words,
              const std::atomic<std::uint32_t>& other, TimePoint deadline) {
  const Deadline until = deadline == TimePoint::max() ? Deadline() : deadline;
  if (!can_listen_to_many()) {
    (void)sleeper.sleep(words[0].expected, until, words[0].also);
    return;
  }
  std::array<Heard, most_heard> others;
  std::array<Unchanged, most_heard * most_unchanged> also;
  others[0] = {&other, 0};
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) others[i] = {words[i].word, words[i].expected};
    std::ranges::copy(words[i].also,
                      also.begin() + static_cast<std::ptrdiff_t>(i * most_unchanged));
  }
  (void)sleeper.sleep_on_all(words[0].expected, std::span(others).first(words.size()), until,
                             std::span(also).first(words.size() * most_unchanged));
}

Descriptor make_eventfd() {
  Descriptor made(above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!made) throw_system_error(errno, "make an eventfd");
  return made;
}

}  // namespace

// Where a thread can sleep on one word only, that one's own must do.
std::size_t most_sources() noexcept { return can_listen_to_many() ? most_heard : 1; }

bool SourceGroup::sleep(const std::atomic<std::uint32_t>& other, TimePoint deadline) {
  std::array<SleepWord, most_heard> words;
  bool ready = false;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const WaitEntry& entry = *sources_[i].entry;
    ready = entry.operations->prepare(entry.object, sources_[i].since, words[i]) || ready;
    sources_[i].word.store(words[i].word, std::memory_order_release);
  }
  if (ready || other.load(std::memory_order_seq_cst) != 0) return ready;
  Sleeper sleeper(this_thread(), *words[0].word);
  sleep_on(sleeper, std::span(words).first(sources_.size()), other, deadline);
  for (const Source& each : sources_) {
    const WaitEntry& entry = *each.entry;
    ready = entry.operations->ready(entry.object, each.since) || ready;
    entry.operations->pass_on(entry.object);
  }
  return ready;
}

void SourceGroup::disturb() const noexcept {
  for (const Source& each : sources_) {
    const auto* word = each.word.load(std::memory_order_acquire);
    if (word != nullptr) futex_wake(*word, INT_MAX);
  }
}

DescriptorWait::DescriptorWait(std::vector<pollfd> wanted, std::atomic<std::uint32_t>& poked)
    : poked_(poked),
      wanted_(std::move(wanted)),
      stop_(make_eventfd()),
      thread_([this] { run(); }, "start a thread that waits for descriptors") {}

DescriptorWait::~DescriptorWait() {
  const std::uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof one);
}

void DescriptorWait::run() noexcept {
  try {
    wanted_.push_back({stop_.get(), POLLIN, 0});
    wait_for_descriptors(wanted_, TimePoint::max());
  } catch (const std::exception&) {  // the caller finds the reason, too
  }
  poke(poked_);
}

SourceWait::SourceWait(SourceGroup&& group, std::atomic<std::uint32_t>& poked)
    : poked_(poked),
      group_(std::move(group)),
      thread_([this] { run(); }, "start a thread that waits for queues and events") {}

// Where it sleeps on its word alone it is woken there, as often as it takes.
SourceWait::~SourceWait() {
  stop_.store(1, std::memory_order_seq_cst);
  futex_wake(stop_, INT_MAX);
  if (can_listen_to_many()) return;
  while (!ended_.load(std::memory_order_acquire)) {
    group_.disturb();
    sched_yield();
  }
}

void SourceWait::run() noexcept {
  try {
    while (stop_.load(std::memory_order_acquire) == 0) {
      if (group_.sleep(stop_, TimePoint::max())) break;
    }
  } catch (const std::exception&) {  // the caller finds the reason, too
  }
  poke(poked_);
  ended_.store(true, std::memory_order_release);
}

}  // namespace procession::detail
