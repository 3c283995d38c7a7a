// What a Barrier is made of, and how its action travels.
//
// Invariants: src/sync/barrier.cpp.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "procession/detail/callable.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/shippable.hpp"
#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"
#include "procession/errors.hpp"

namespace procession::detail {

// What the holder of the guard is about to do to the round.
enum class RoundChange : std::uint32_t { None, Break, Reset };
enum class BrokenBy : std::uint32_t { Nobody, Abort, Timeout, Death, Action, Error };

struct BarrierShared {
  static constexpr std::size_t chunk_count = 18;
  static constexpr std::size_t losses_known = 64;
  Object head;
  std::atomic<void*> chunks[chunk_count];  // homes: members, by the number of the process's slot
  std::atomic<void*> action;               // home: the action as a message, or nullptr
  std::atomic<std::uint64_t> word;
  std::atomic<std::uint64_t> arrivals;
  std::uint32_t parties;
  std::atomic<BrokenBy> broken_by;
  std::atomic<std::int32_t> broken_pid;
  std::uint32_t has_action;
  std::uint64_t id;      // differs between all barriers of the family
  std::int64_t timeout;  // of wait(), in nanoseconds; below 0: none
  LockCore guard;
  std::atomic<RoundChange> log;
  std::uint32_t log_round;
  std::uint32_t losses;
  std::uint32_t lost[losses_known];
};

struct BarrierActionHeader {
  CodeAddress run;  // void (*)(Reader&)
  std::size_t bytes;
};

// Both forms of an action; `block` may be nullptr.
struct BarrierAction {
  std::function<void()> local{};
  void* block = nullptr;
};

template <class F>
void run_barrier_action(Reader& reader) {
  F action = decode_callable<F>(reader);
  (void)action();
}

template <class F>
BarrierAction make_barrier_action(F&& given) {
  using Action = std::decay_t<F>;
  auto kept = std::make_shared<Action>(std::forward<F>(given));
  BarrierAction action{[kept] { (void)(*kept)(); }};
  if constexpr (shippable_callable<Action>) {
    try {
      Writer writer("Barrier", sizeof(BarrierActionHeader));
      const CodeAddress run =
          code_address(reinterpret_cast<const void*>(&run_barrier_action<Action>));
      encode_callable(writer, *kept);
      const std::size_t bytes = writer.size();
      action.block = writer.finish();
      *static_cast<BarrierActionHeader*>(action.block) = {run, bytes};
    } catch (const NotShippable&) {
      // It can run here, and in what is forked from here.
    }
  }
  return action;
}

// Throws std::invalid_argument, OutOfMemory. Takes over the action's block.
[[nodiscard]] Object* create_barrier(int parties, BarrierAction action,
                                     std::chrono::nanoseconds timeout, std::string_view name);
// Throws BrokenBarrierError, and what the action throws. With no deadline of its own: the
// barrier's.
[[nodiscard]] int barrier_wait(BarrierShared& shared, TimePoint deadline);
[[nodiscard]] TimePoint barrier_deadline(const BarrierShared& shared);
void barrier_reset(BarrierShared& shared);
void barrier_abort(BarrierShared& shared);
[[nodiscard]] int barrier_waiting(BarrierShared& shared);
[[nodiscard]] bool barrier_broken(BarrierShared& shared);

}  // namespace procession::detail
