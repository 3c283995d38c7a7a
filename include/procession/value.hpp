// One value in the family memory.
//
//   mp::Value<long> hits(0);
//   mp::Value<Reading> last;                      // any trivially copyable struct
//
//   hits.fetch_add(1);                            // atomic, lock-free
//   last.store({21.5, 40});                       // whole: nobody ever reads half of it
//   hits.with_lock([](long& n) { n = n * 3 + 1; });   // several steps, one at a time
//
// What goes together with what: load, store, fetch_add, exchange and compare_exchange with each
// other, always. with_lock and get_lock() with each
// other. value() is a plain reference: use it alone, or where
// the program sees to it that nobody else does.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "procession/detail/bytes_kind.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/rlock_core.hpp"
#include "procession/detail/wide_value.hpp"
#include "procession/rlock.hpp"
#include "procession/types.hpp"

namespace procession {

namespace detail {

// Read and written by one instruction.
template <class T>
consteval bool fits_instruction() {
  if constexpr (std::is_trivially_copyable_v<T> && std::has_single_bit(sizeof(T)) &&
                sizeof(T) <= 8) {
    return std::atomic_ref<T>::is_always_lock_free;
  } else {
    return false;
  }
}

template <class T>
struct SmallValueShared {
  LockShared guard;  // an RLock of get_lock() sees this much
  alignas(std::atomic_ref<T>::required_alignment) T value;
};

template <class T>
struct WideValueShared {
  static constexpr std::size_t words = (sizeof(T) + 7) / 8;
  LockShared guard;  // as above
  WideValue wide;
  union {  // whole words, also where T is none
    alignas(std::max<std::size_t>(alignof(T), 8)) std::uint64_t current[words];
    T value;
  };
  std::uint64_t staged[words];
  WideCopies copies() noexcept { return {current, staged, words}; }
};

template <class T>
consteval bool is_number() {
  return (std::is_integral_v<T> || std::is_floating_point_v<T>)&&fits_instruction<T>();
}

}  // namespace detail

// A handle: copies name the same value, in every process of the family. All methods may be called
// from any thread; on an empty (moved-from) handle they throw StateError.
template <class T>
class Value : public detail::HandleBase {
  static_assert(std::is_trivially_copyable_v<T> && std::is_same_v<T, std::remove_cvref_t<T>>,
                "Value<T> needs a trivially copyable T, as its bytes are shared between processes; "
                "for strings and containers use a Manager's list, dict or namespace_");
  static_assert(detail::bytes_kind<T> != detail::BytesKind::No,
                "Value<T> of a type with a pointer or reference in it: it would name nothing in "
                "another process; share what it points to instead, as a Value or an Array");
  static_assert(alignof(T) <= 64, "Value<T> aligns to 64 bytes at most");
  static constexpr bool small = detail::fits_instruction<T>();
  using Shared = std::conditional_t<small, detail::SmallValueShared<T>, detail::WideValueShared<T>>;

 public:
  // Throw OutOfMemory. The name is what errors about its lock call the value.
  Value() : Value(T{}) {}
  explicit Value(T initial, const Name& name = {})
      : HandleBase(detail::create_object(detail::ObjectKind::Value, sizeof(Shared), name.text)) {
    std::construct_at(std::addressof(shared().value), std::move(initial));
    if constexpr (!small) shared().wide.writer.on_death = detail::OwnerDeath::Silent;
  }

  // The value in place. Lives as long as a handle does. A change through it is seen by everybody,
  // at once and piecemeal. Blocks, for a T of more than 8 bytes, while a store is under way.
  T& value() const {
    Shared& at = shared();
    if constexpr (!small) detail::wide_settle(at.wide, at.copies(), at.guard.head);
    return at.value;
  }

  // As one store() left it, never parts of two. Never blocks.
  [[nodiscard]] T load() const {
    Shared& at = shared();
    if constexpr (small) {
      return std::atomic_ref<T>(at.value).load();
    } else {
      struct alignas(T) Bytes {
        std::array<std::byte, sizeof(T)> bytes;
      } copy;
      detail::wide_load(at.wide, at.copies(), &copy, sizeof(T));
      return std::bit_cast<T>(copy);
    }
  }

  // Replaces the whole. A process killed in it leaves the old value or the new one. A T of more
  // than 8 bytes: blocks while another store is under way; may throw OutOfMemory at the first use
  // in a thread.
  void store(T desired) const {
    Shared& at = shared();
    if constexpr (small) {
      std::atomic_ref<T>(at.value).store(desired);
    } else {
      detail::wide_store(at.wide, at.copies(), at.guard.head, std::addressof(desired), sizeof(T));
    }
  }

  // The lock of the value, for several steps that belong together. It is one more handle to the
  // value, and keeps it alive. Throws OutOfMemory.
  [[nodiscard]] RLock get_lock() const {
    (void)shared();
    return RLock::from_object(handle_object());
  }

  // f(T&) with get_lock() held, its result returned. Blocks while another thread is inside; a call
  // within a call in the same thread does not. Does not keep load and store out. Throws OwnerDied
  // when a process died inside, until somebody calls get_lock().recover(); DeadlockError; what f
  // throws.
  template <class F>
  auto with_lock(F f) const {
    auto& [head, core] = shared().guard;
    detail::RLockGuard guard(core, head);
    return f(value());
  }

  // Integral and floating T of at most 8 bytes. Atomic, lock-free, never block.
  // Returns the value before.
  T fetch_add(T by) const requires(detail::is_number<T>() && !std::same_as<T, bool>) {
    return std::atomic_ref<T>(shared().value).fetch_add(by);
  }
  T exchange(T desired) const requires(detail::is_number<T>()) {
    return std::atomic_ref<T>(shared().value).exchange(desired);
  }
  // False: the value was not `expected`, which now is what it was.
  bool compare_exchange(T& expected, T desired) const requires(detail::is_number<T>()) {
    return std::atomic_ref<T>(shared().value).compare_exchange_strong(expected, desired);
  }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Value from_object(detail::Object* object) {
    if (object != nullptr) detail::retain(object);
    return Value(TakeOver{}, object);
  }

 private:
  struct TakeOver {};
  Value(TakeOver, detail::Object* owned) noexcept : HandleBase(owned) {}
  Shared& shared() const { return shared_as<Shared>("Value"); }
};

}  // namespace procession
