// The results of an imap, as they come.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "procession/async_result.hpp"
#include "procession/detail/progress.hpp"

namespace procession {

namespace detail {

// Where the chunks of an imap come from: reads the input, lazily, and submits. Empty at its end.
using ChunkSource = std::function<std::shared_ptr<BatchState>()>;

// The mechanism of ResultRange, without the type of the results.
class ResultStream {
 public:
  ResultStream(std::shared_ptr<PoolCore> pool, ChunkSource source, std::size_t window, bool ordered,
               std::size_t total);
  ~ResultStream();  // what is not begun is cancelled
  ResultStream(const ResultStream&) = delete;
  ResultStream& operator=(const ResultStream&) = delete;

  struct Place {
    BatchState* state;  // valid until the next call; nullptr: the end
    std::uint32_t item;
  };
  // Throws TimeoutError and what reading or shipping the input threw.
  Place next(Deadline deadline);

 private:
  void refill();
  std::shared_ptr<PoolCore> pool_;
  ChunkSource source_;
  std::size_t window_;
  bool ordered_;
  bool exhausted_ = false;
  std::size_t given_ = 0;
  Progress progress_;
  std::vector<std::shared_ptr<BatchState>> pending_;
  std::shared_ptr<BatchState> current_;
  std::uint32_t item_ = 0;
};

}  // namespace detail

// An input range of the results; move-only; one thread at a time. Reads its input at most a
// bounded number of items ahead. An exception is thrown where its item would be; the iteration
// can go on after it. Leaving early cancels what has not begun.
template <class R>
class ResultRange {
 public:
  class iterator {
   public:
    using value_type = R;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;
    iterator() = default;
    explicit iterator(ResultRange* range) : range_(range) { ++*this; }
    R& operator*() const { return *range_->value_; }
    iterator& operator++() {
      range_->value_ = range_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !range_->value_; }

   private:
    ResultRange* range_ = nullptr;
  };

  iterator begin() { return iterator(this); }
  std::default_sentinel_t end() { return {}; }

  // The next result; none at the end. Throws what its task threw, and can be called again.
  std::optional<R> next() { return take(std::nullopt); }
  // TimeoutError when none comes in time; can be called again.
  template <class Rep, class Period>
  std::optional<R> next(std::chrono::duration<Rep, Period> duration) {
    return take(detail::deadline_after(duration));
  }

  explicit ResultRange(std::unique_ptr<detail::ResultStream> stream) : stream_(std::move(stream)) {}

 private:
  std::optional<R> take(detail::Deadline deadline) {
    const auto place = stream_->next(deadline);
    if (place.state == nullptr) return std::nullopt;
    return detail::read_result<R>(*place.state, place.item);
  }
  std::unique_ptr<detail::ResultStream> stream_;
  std::optional<R> value_;
};

}  // namespace procession
