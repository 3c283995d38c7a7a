// Waiting for several things at once.
//
//   const auto ready = mp::wait(socket, jobs, stop, worker, 5s);     // one by one ...
//   for (const std::size_t i : mp::wait(connections)) answer(connections[i]);    // ... or a range
//
// wait() returns the positions of those that are ready, ascending: of the arguments, or in the
// range. It takes nothing: what is ready may be gone when somebody else was faster.
//
// clang-format off
// |                                  | is ready when                                     | by         |
// | Connection                       | a receive would find something: a message, or the | descriptor |
// |                                  | end                                               |            |
// | Process                          | it has ended                                      | descriptor |
// | int                              | the descriptor is readable, or at its end         | descriptor |
// | Queue, JoinableQueue, SimpleQueue| a get would not wait: there is an item, or it is  | word       |
// |                                  | closed                                            |            |
// | Event                            | it is set, or was set since the wait began        | word       |
// | AsyncResult                      | get() would not wait                              | word       |
// clang-format on
//
// A range has elements of one of these types, or std::reference_wrapper or std::variant of them.
//
// What it costs, beside one look at each: nothing when something is ready at once. Sleeping on
// descriptors alone is one poll(); on words alone one sleep, as long as there are no more than
// 30 (one, where the kernel is older than 5.16). Both together, and each further 30 words, take a
// thread for as long as the wait sleeps, some 50 us. Nothing is polled in any of them.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "procession/async_result.hpp"
#include "procession/connection.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/wait_entry.hpp"
#include "procession/event.hpp"
#include "procession/process.hpp"
#include "procession/queue.hpp"

namespace procession {

namespace detail {

struct WaitAccess {
  template <class Shared>
  static Shared& shared(Object* object, std::string_view type) {
    if (object == nullptr) throw_empty_handle(type);
    return *reinterpret_cast<Shared*>(object);
  }
  static WaitEntry entry(const Connection& connection) {
    return connection_entry(&shared<Object>(connection.handle_object(), "Connection"));
  }
  static WaitEntry entry(const Process& process) { return descriptor_entry(process.sentinel()); }
  static WaitEntry entry(const QueueBase& queue) {
    return queue_entry(shared<QueueShared>(queue.handle_object(), "Queue"));
  }
  template <class T>
  static WaitEntry entry(const SimpleQueue<T>& queue) {
    return queue_entry(shared<QueueShared>(queue.handle_object(), "Queue"));
  }
  static WaitEntry entry(const Event& event) {
    return event_entry(shared<EventShared>(event.handle_object(), "Event"));
  }
  template <class R>
  static WaitEntry entry(const AsyncResult<R>& result) {
    if (result.state_ == nullptr) throw_empty_handle("AsyncResult");
    return result_entry(*result.state_);
  }
  template <std::same_as<int> Int>  // neither bool nor char
  static WaitEntry entry(Int descriptor) {
    return descriptor_entry(descriptor);
  }
  template <class T>
  static WaitEntry entry(const std::reference_wrapper<T>& reference) {
    return entry(reference.get());
  }
  template <class... T>
  static WaitEntry entry(const std::variant<T...>& one) {
    return std::visit([](const auto& each) { return entry(each); }, one);
  }
};

template <class T>
concept Waitable = requires(const T& thing) {
  WaitAccess::entry(thing);
};

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;

template <class T>
WaitEntry entry_of(const T& thing) {
  static_assert(Waitable<T>,
                "wait(): this is nothing to wait for; it takes Connection, Queue, JoinableQueue, "
                "SimpleQueue, Event, Process, AsyncResult, descriptors (int), or one range of "
                "such, and a duration at the end");
  if constexpr (Waitable<T>) {
    return WaitAccess::entry(thing);
  } else {
    return {};
  }
}

template <std::ranges::input_range R>
std::vector<std::size_t> wait_range(R&& range, TimePoint deadline) {
  std::vector<WaitEntry> entries;
  if constexpr (std::is_reference_v<std::ranges::range_reference_t<R>>) {
    for (const auto& each : range) entries.push_back(entry_of(each));
    return wait_any(entries, deadline);
  } else {
    // They live no longer than a step of the loop; an address must not move.
    std::vector<std::ranges::range_value_t<R>> held;
    for (auto&& each : range) held.push_back(std::forward<decltype(each)>(each));
    for (const auto& each : held) entries.push_back(entry_of(each));
    return wait_any(entries, deadline);
  }
}

template <class Tuple, std::size_t... I>
std::vector<std::size_t> wait_pack(const Tuple& things, TimePoint deadline,
                                   std::index_sequence<I...>) {
  const WaitEntry entries[] = {entry_of(std::get<I>(things))...};
  return wait_any(entries, deadline);
}

}  // namespace detail

// Blocks until something is ready. Throws StateError: an empty handle, a Connection that is closed
// or only sends, a Process that was not started, the result of another process's pool;
// std::invalid_argument: a descriptor that is not open, a range without elements (it would wait for
// ever); SystemError: no thread can be started; OutOfMemory. May be called from any thread. Signals
// do not interrupt it.
template <std::ranges::input_range R>
requires(!detail::Waitable<std::remove_cvref_t<R>>)  // a Queue is a range, too
    std::vector<std::size_t> wait(R&& range) {
  return detail::wait_range(std::forward<R>(range), detail::TimePoint::max());
}
// The same for `duration` at most; empty: nothing was ready in time. Below zero counts as zero.
template <std::ranges::input_range R, class Rep, class Period>
requires(!detail::Waitable<std::remove_cvref_t<R>>) std::vector<std::size_t> wait(
    R&& range, const std::chrono::duration<Rep, Period>& duration) {
  return detail::wait_range(std::forward<R>(range), detail::deadline_after(duration));
}

// The same for a list in braces: wait({first, second}, 1s).
template <class T>
std::vector<std::size_t> wait(std::initializer_list<T> list) {
  return detail::wait_range(list, detail::TimePoint::max());
}
template <class T, class Rep, class Period>
std::vector<std::size_t> wait(std::initializer_list<T> list,
                              const std::chrono::duration<Rep, Period>& duration) {
  return detail::wait_range(list, detail::deadline_after(duration));
}

// The last argument may be a duration.
template <class First, class... Rest>
requires(detail::Waitable<First> ||
         !(std::ranges::input_range<First> ||
           detail::is_duration<First>)) std::vector<std::size_t> wait(const First& first,
                                                                      const Rest&... rest) {
  const auto all = std::forward_as_tuple(first, rest...);
  constexpr std::size_t count = sizeof...(Rest) + 1;
  using Last = std::remove_cvref_t<std::tuple_element_t<count - 1, decltype(all)>>;
  if constexpr (detail::is_duration<Last>) {
    return detail::wait_pack(all, detail::deadline_after(std::get<count - 1>(all)),
                             std::make_index_sequence<count - 1>());
  } else {
    return detail::wait_pack(all, detail::TimePoint::max(), std::make_index_sequence<count>());
  }
}

}  // namespace procession
