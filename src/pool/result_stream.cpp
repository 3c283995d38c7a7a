#include "procession/result_range.hpp"

#include <utility>

#include "procession/errors.hpp"

namespace procession::detail {

ResultStream::ResultStream(std::shared_ptr<PoolCore> pool, ChunkSource source, std::size_t window,
                           bool ordered, std::size_t total)
    : pool_(std::move(pool)),
      source_(std::move(source)),
      window_(window),
      ordered_(ordered),
      progress_(pool_->options().progress, total) {
  refill();
}

ResultStream::~ResultStream() {
  try {
    for (const auto& each : pending_) each->drop_pending();
  } catch (const StateError&) {  // a forked copy
  }
}

void ResultStream::refill() {
  while (!exhausted_ && pending_.size() < window_) {
    auto chunk = source_();
    if (chunk == nullptr) {
      exhausted_ = true;
    } else {
      pending_.push_back(std::move(chunk));
    }
  }
}

ResultStream::Place ResultStream::next(Deadline deadline) {
  if (current_ != nullptr && item_ == current_->items()) current_.reset();
  if (current_ == nullptr) {
    refill();
    if (pending_.empty()) return {nullptr, 0};
    std::size_t first = 0;
    if (ordered_) {
      if (!pool_->wait_first({pending_.front()}, deadline)) throw_result_timeout();
    } else if (const auto ready = pool_->wait_first(pending_, deadline)) {
      first = *ready;
    } else {
      throw_result_timeout();
    }
    current_ = std::move(pending_[first]);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(first));
    item_ = 0;
    refill();  // before the caller works on this one
  }
  progress_.show(++given_);
  return {current_.get(), item_++};
}

}  // namespace procession::detail
