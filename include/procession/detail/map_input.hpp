// The items of a map on their way into a batch.
#pragma once

#include <cstring>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/chunk_entry.hpp"
#include "procession/detail/pool_core.hpp"

namespace procession {
template <class T>
class Array;
}  // namespace procession

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
  // Something that the item can be made from.
  template <class Each>
  void add_as(const Each& each) {
    if constexpr (std::is_same_v<Item, Each>) {
      add(each);
    } else {
      add(Item(each));
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

// An Array<T>, whose elements every worker can see.
template <class Range>
inline constexpr bool is_array = false;
template <class T>
inline constexpr bool is_array<Array<T>> = flat_item<T>;

// The items of a call, in the message; or, those of an Array, where they are. How many.
template <class Item, class Range>
std::uint32_t write_items(Writer& writer, Range& range, BatchPlan& plan) {
  if constexpr (is_array<std::remove_cv_t<Range>>) {
    const auto array = std::make_shared<std::remove_cv_t<Range>>(range);
    plan.item_stride = sizeof(Item);
    plan.items_in_place = reinterpret_cast<const std::byte*>(array->data());
    plan.keep = array;
    return checked_items(array->size());
  } else {
    ItemWriter<Item> items(writer);
    std::size_t count = 0;
    if constexpr (std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                  std::is_same_v<std::ranges::range_value_t<Range>, Item>) {
      count = std::ranges::size(range);
      items.add_all(std::ranges::data(range), count);
    } else {
      for (auto&& each : range) {
        items.add_as(each);
        ++count;
      }
    }
    items.finish(plan);
    return checked_items(count);
  }
}

// What a function with one signature takes, as a tuple: for braced lists of arguments.
template <class F>
struct ArgumentsOf {};
template <class F>
requires requires { &F::operator(); }
struct ArgumentsOf<F> : ArgumentsOf<decltype(&F::operator())> {};
template <class R, class... Args>
struct ArgumentsOf<R (*)(Args...)> {
  using type = std::tuple<std::decay_t<Args>...>;
};
template <class R, class... Args>
struct ArgumentsOf<R (*)(Args...) noexcept> : ArgumentsOf<R (*)(Args...)> {};
template <class R, class F, class... Args>
struct ArgumentsOf<R (F::*)(Args...)> : ArgumentsOf<R (*)(Args...)> {};
template <class R, class F, class... Args>
struct ArgumentsOf<R (F::*)(Args...) const> : ArgumentsOf<R (*)(Args...)> {};
template <class R, class F, class... Args>
struct ArgumentsOf<R (F::*)(Args...) noexcept> : ArgumentsOf<R (*)(Args...)> {};
template <class R, class F, class... Args>
struct ArgumentsOf<R (F::*)(Args...) const noexcept> : ArgumentsOf<R (*)(Args...)> {};

template <class F, class Item, bool Spread>
struct MapResult {
  using type = call_result_t<F&, Item>;
};
template <class F, class Item>
struct MapResult<F, Item, true> {
  using type = typename InvokeResult<F&, decltype(spread(std::declval<Item>()))>::type;
};

}  // namespace procession::detail
