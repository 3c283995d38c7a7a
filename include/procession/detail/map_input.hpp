// The items of a map on their way into a batch.
#pragma once

#include <cstring>
#include <iterator>
#include <ranges>
#include <vector>

#include "procession/detail/chunk_entry.hpp"

namespace procession::detail {

template <class Item>
class ItemWriter {
 public:
  explicit ItemWriter(Writer& writer) : writer_(writer) {
    writer_.align(16);
    begin_ = writer_.size();
  }
  void add(const Item& item) {
    if constexpr (flat_item<Item>) {
      writer_.write(std::addressof(item), sizeof(Item));
    } else {
      writer_.align(16);
      offsets_.push_back(writer_.size());
      encode(writer_, item);
    }
  }
  // Contiguous flat items: one copy.
  void add_all(const Item* items, std::size_t count) {
    if constexpr (flat_item<Item>) {
      writer_.write(items, count * sizeof(Item));
    } else {
      for (std::size_t i = 0; i < count; ++i) add(items[i]);
    }
  }
  void finish(BatchPlan& plan) {
    if constexpr (flat_item<Item>) {
      plan.item_stride = sizeof(Item);
      plan.items_at = begin_;
    } else {
      writer_.align(16);
      plan.item_stride = 0;
      plan.items_at = writer_.size();
      writer_.write(offsets_.data(), offsets_.size() * sizeof(std::uint64_t));
    }
  }

 private:
  Writer& writer_;
  std::uint64_t begin_;
  std::vector<std::uint64_t> offsets_;
};

template <class F, class Item, bool Spread>
struct MapResult {
  using type = call_result_t<F&, Item>;
};
template <class F, class... Args>
struct MapResult<F, std::tuple<Args...>, true> {
  using type = call_result_t<F&, Args...>;
};
template <class F, class A, class B>
struct MapResult<F, std::pair<A, B>, true> {
  using type = call_result_t<F&, A, B>;
};

}  // namespace procession::detail
