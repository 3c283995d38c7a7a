#include <poll.h>

#include <atomic>
#include <list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "channel/frame.hpp"
#include "channel/side_wait.hpp"
#include "procession/detail/wait_entry.hpp"
#include "system/futex.hpp"

namespace procession::detail {
namespace {

class Wait {
 public:
  Wait(std::span<const WaitEntry> entries, TimePoint deadline)
      : entries_(entries), deadline_(deadline), since_(entries.size()) {
    for (const WaitEntry& each : entries_) {
      if (each.operations == nullptr) wanted_.push_back({each.descriptor, POLLIN, 0});
    }
    for (; begun_ < entries_.size(); ++begun_) {
      const WaitEntry& each = entries_[begun_];
      if (each.operations != nullptr) since_[begun_] = each.operations->begin(each.object);
    }
  }
  ~Wait() {
    for (const WaitEntry& each : entries_.first(begun_)) {
      if (each.operations != nullptr) each.operations->end(each.object);
    }
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  std::vector<std::size_t> run() {
    for (;;) {
      auto found = look();
      if (!found.empty() || expired()) return found;
      sleep();
    }
  }

 private:
  [[nodiscard]] bool expired() const {
    return deadline_ != TimePoint::max() && TimePoint::clock::now() >= deadline_;
  }

  std::vector<std::size_t> look() {
    if (!wanted_.empty()) (void)wait_for_descriptors(wanted_, TimePoint::min());
    std::vector<std::size_t> found;
    auto descriptor = wanted_.begin();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const WaitEntry& each = entries_[i];
      bool ready = false;
      if (each.operations != nullptr) {
        ready = each.operations->ready(each.object, since_[i]);
      } else {
        require_open(*descriptor);
        ready = descriptor++->revents != 0;
      }
      if (ready) found.push_back(i);
    }
    return found;
  }

  static void require_open(const pollfd& descriptor) {
    if ((descriptor.revents & POLLNVAL) == 0) return;
    throw std::invalid_argument("wait(): " + std::to_string(descriptor.fd) +
                                " is no open descriptor of this process; keep what it belongs to "
                                "open while it is waited for");
  }

  // Until something may be ready, or the deadline. Spurious ends are allowed.
  void sleep() {
    std::list<SourceGroup> groups = group_sources();
    if (groups.empty()) {
      (void)wait_for_descriptors(wanted_, deadline_);
      return;
    }
    std::atomic<std::uint32_t> poked{0};
    std::optional<DescriptorWait> descriptors;
    std::list<SourceWait> sides;
    if (!wanted_.empty()) descriptors.emplace(wanted_, poked);
    // One group is slept on here, if there is room for the word beside it.
    const bool alone = groups.size() == 1 && wanted_.empty();
    SourceGroup own;
    if (alone || most_sources() > 1) {
      own = std::move(groups.front());
      groups.pop_front();
    }
    for (SourceGroup& each : groups) sides.emplace_back(std::move(each), poked);
    if (!own.empty()) {
      (void)own.sleep(poked, deadline_);
    } else if (poked.load(std::memory_order_seq_cst) == 0) {
      (void)futex_wait(poked, 0, deadline_ == TimePoint::max() ? Deadline() : deadline_);
    }
  }

  std::list<SourceGroup> group_sources() const {
    std::list<SourceGroup> groups;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].operations == nullptr) continue;
      if (groups.empty() || groups.back().size() == most_sources()) groups.emplace_back();
      groups.back().add(entries_[i], since_[i]);
    }
    return groups;
  }

  std::span<const WaitEntry> entries_;
  TimePoint deadline_;
  std::vector<std::uint64_t> since_;
  std::vector<pollfd> wanted_;
  std::size_t begun_ = 0;
};

}  // namespace

WaitEntry descriptor_entry(int descriptor) {
  if (descriptor >= 0) return {.descriptor = descriptor};
  throw std::invalid_argument("wait(): a descriptor cannot be below zero; was it opened?");
}

std::vector<std::size_t> wait_any(std::span<const WaitEntry> entries, TimePoint deadline) {
  if (entries.empty() && deadline == TimePoint::max()) {
    throw std::invalid_argument(
        "wait() for nothing, and without a limit, would never end; give it something to wait for, "
        "or a duration");
  }
  return Wait(entries, deadline).run();
}

}  // namespace procession::detail
