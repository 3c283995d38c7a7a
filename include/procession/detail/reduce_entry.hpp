// map_reduce: the results of a chunk combined to one where they are made, and those of the chunks
// where they were asked for.
//
// The result of a chunk lies in the slot of its first item. Items have no status until that is
// there, so a chunk whose worker dies is begun again; what it has had of attempts stays with the
// item that was being run.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "procession/async_result.hpp"
#include "procession/detail/chunk_entry.hpp"

namespace procession::detail {

template <class F, class Combine, class Item, class A>
struct ReduceEntry {
  static void enter(ChunkRun& run) {
    Reader reader = run.callable();
    F f = decode_callable<F>(reader);
    Combine combine = decode_callable<Combine>(reader);
    std::optional<A> all;
    run.together(
        [&](std::uint32_t item) {
          std::tuple<Item> arguments{MapEntry<F, Item, false>::item_of(run, item)};
          A next(call(f, arguments));
          if (all) {
            A both = std::invoke(combine, std::move(*all), std::move(next));
            all.emplace(std::move(both));
          } else {
            all.emplace(std::move(next));
          }
        },
        [&](std::uint32_t item) { give_result(run, item, std::move(*all)); });
  }
};

// What the caller of map_reduce gets, from the batch alone: combine and init are in it.
template <class F, class Combine, class A>
struct ReducedResult {
  static A collect(const BatchState& state) {
    if (const std::uint32_t failed = state.first_failure(); failed < state.items()) {
      state.throw_failure(failed);
    }
    Reader reader = state.payload();
    (void)decode_callable<F>(reader);
    Combine combine = decode_callable<Combine>(reader);
    A all = decode<A>(reader);
    for (std::uint64_t item = 0; item < state.items(); item += state.chunk_items()) {
      A both = std::invoke(combine, std::move(all),
                           read_result<A>(state, static_cast<std::uint32_t>(item)));
      all = std::move(both);
    }
    return all;
  }
};

}  // namespace procession::detail
