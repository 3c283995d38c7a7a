// The code that a worker runs for a chunk, one instantiation for each callable and item type.
#pragma once

#include <array>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "procession/detail/batch.hpp"
#include "procession/detail/callable.hpp"
#include "procession/detail/codec.hpp"
#include "procession/detail/invoke.hpp"

namespace procession::detail {

template <class T>
inline constexpr bool flat_item = bytes_kind<T> == BytesKind::Plain &&
                                  alignof(T) <= 16 && std::is_trivially_copyable_v<T>;

// REQUIRES: R is not a reference. Writes what the call returned where the caller reads it.
template <class R>
void give_result(ChunkRun& run, std::uint32_t item, R&& result) {
  using Plain = std::remove_cvref_t<R>;
  if constexpr (ResultOf<Plain>::kind == ResultKind::Flat) {
    std::memcpy(run.slot(item), std::addressof(result), sizeof(Plain));
  } else {
    Writer writer("the result of a task");
    encode<Plain>(writer, result);
    run.give(item, writer);
  }
}

template <class F, class Tuple>
void call_and_give(ChunkRun& run, std::uint32_t item, F& f, Tuple& arguments) {
  if constexpr (std::is_void_v<decltype(call(f, arguments))>) {
    call(f, arguments);
  } else {
    give_result(run, item, call(f, arguments));
  }
}

// apply: one item, the arguments after the callable.
template <class F, class... Args>
struct ApplyEntry {
  static void enter(ChunkRun& run) {
    run.each([&](std::uint32_t item) { once(run, item); });
  }
  static void once(ChunkRun& run, std::uint32_t item) {
    Reader reader = run.callable();
    F f = decode_callable<F>(reader);
    std::tuple<Args...> arguments{decode<Args>(reader)...};
    call_and_give(run, item, f, arguments);
  }
};

// The arguments that are in an item of a starmap, as a std::tuple.
template <class... Args>
std::tuple<Args...> spread(std::tuple<Args...> arguments) {
  return arguments;
}
template <class A, class B>
std::tuple<A, B> spread(std::pair<A, B> arguments) {
  return {std::move(arguments)};
}
template <class T, std::size_t n>
auto spread(std::array<T, n> arguments) {
  return std::apply(
      [](auto&... each) { return std::tuple<std::decay_t<decltype(each)>...>(std::move(each)...); },
      arguments);
}

// map: many items, one callable for the chunk. `Spread`: each item is a tuple of arguments.
template <class F, class Item, bool Spread>
struct MapEntry {
  static void enter(ChunkRun& run) {
    Reader reader = run.callable();
    F f = decode_callable<F>(reader);
    run.each([&](std::uint32_t item) { one(run, f, item); });
  }
  static void one(ChunkRun& run, F& f, std::uint32_t item) {
    if constexpr (Spread) {
      auto arguments = spread(item_of(run, item));
      call_and_give(run, item, f, arguments);
    } else {
      std::tuple<Item> arguments{item_of(run, item)};
      call_and_give(run, item, f, arguments);
    }
  }
  static Item item_of(ChunkRun& run, std::uint32_t item) {
    if constexpr (flat_item<Item>) {
      return *reinterpret_cast<const Item*>(run.flat_item(item));
    } else {
      Reader reader = run.item(item);
      return decode<Item>(reader);
    }
  }
};

}  // namespace procession::detail
