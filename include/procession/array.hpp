// A fixed number of values, side by side in the family memory.
//
//   mp::Array<double> field(1'000'000);             // zeros
//   mp::Array<int> primes{2, 3, 5, 7};
//   auto copy = mp::Array<int>::from(std::views::iota(0, 100));
//
//   std::ranges::sort(primes);                      // a contiguous range, like any other
//   for (double& x : field) x = 1;
//   primes.with_lock([](std::span<int> all) { std::ranges::reverse(all); });
//
// Element access is as for a std::span: no check, no lock, nothing between the program and the
// memory. Where several threads or processes change the same elements, they agree among
// themselves (get_lock(), or std::atomic_ref on an element). Killing a process changes nothing
// that it has not written.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <memory>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/bytes_kind.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/lock_core.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/rlock_core.hpp"
#include "procession/rlock.hpp"
#include "procession/types.hpp"

namespace procession {

namespace detail {

struct ArrayShared {
  LockShared guard;  // an RLock of get_lock() sees this much
  std::size_t size;
  // From here on, at a multiple of 64: the elements.
  static constexpr std::size_t elements_at = 128;
};
static_assert(sizeof(ArrayShared) <= ArrayShared::elements_at);

// An array of zeros. Throws OutOfMemory, also where `count` elements are more than there can be.
[[nodiscard]] Object* create_array(std::size_t count, std::size_t element_bytes,
                                   std::string_view name);
[[noreturn]] void throw_out_of_range(const Object& named, std::size_t index, std::size_t size);

}  // namespace detail

// A handle: copies name the same array, in every process of the family. All methods may be called
// from any thread; on an empty (moved-from) handle they throw StateError.
template <class T>
class Array : public detail::HandleBase {
  static_assert(std::is_trivially_copyable_v<T> && std::is_same_v<T, std::remove_cvref_t<T>>,
                "Array<T> needs a trivially copyable T, as its bytes are shared between processes; "
                "for strings and containers use a Manager's list or dict");
  static_assert(detail::bytes_kind<T> != detail::BytesKind::No,
                "Array<T> of a type with a pointer or reference in it: it would name nothing in "
                "another process; share what it points to instead, or an index");
  static_assert(alignof(T) <= 64, "Array<T> aligns to 64 bytes at most");

 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using iterator = T*;

  // `n` elements, value-initialised. The name is what errors call the array. Throws OutOfMemory.
  explicit Array(std::size_t n, const Name& name = {})
      : HandleBase(detail::create_array(n, sizeof(T), name.text)) {
    std::uninitialized_value_construct_n(data(), n);
  }
  Array(std::initializer_list<T> values) : Array(values.size(), TakeSize{}) {
    std::uninitialized_copy(values.begin(), values.end(), data());
  }
  // A copy of what is in the range. Throws OutOfMemory, and what reading it throws.
  template <std::ranges::input_range R>
  requires std::constructible_from<T, std::ranges::range_reference_t<R>>
  [[nodiscard]] static Array from(R&& range) {
    if constexpr (std::ranges::forward_range<R> || std::ranges::sized_range<R>) {
      Array array(static_cast<std::size_t>(std::ranges::distance(range)), TakeSize{});
      T* to = array.data();
      for (auto&& each : range) std::construct_at(to++, std::forward<decltype(each)>(each));
      return array;
    } else {
      std::vector<T> values;
      for (auto&& each : range) values.emplace_back(std::forward<decltype(each)>(each));
      return from(values);
    }
  }

  // Never block.
  [[nodiscard]] T& operator[](std::size_t i) const { return data()[i]; }
  // Throws std::out_of_range.
  [[nodiscard]] T& at(std::size_t i) const {
    if (i >= size()) detail::throw_out_of_range(shared().guard.head, i, size());
    return data()[i];
  }
  // REQUIRES: not empty().
  [[nodiscard]] T& front() const { return data()[0]; }
  [[nodiscard]] T& back() const { return data()[size() - 1]; }

  // What is pointed to lives as long as a handle does.
  [[nodiscard]] T* data() const {
    auto* object = reinterpret_cast<std::byte*>(&shared());
    return reinterpret_cast<T*>(object + detail::ArrayShared::elements_at);
  }
  [[nodiscard]] std::size_t size() const { return shared().size; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] T* begin() const { return data(); }
  [[nodiscard]] T* end() const { return data() + size(); }
  [[nodiscard]] std::span<T> span() const { return {data(), size()}; }

  // The lock of the array. It is one more handle to the array, and keeps it alive. Throws
  // OutOfMemory.
  [[nodiscard]] RLock get_lock() const {
    (void)shared();
    return RLock::from_object(handle_object());
  }
  // f(std::span<T>) with get_lock() held, its result returned. Blocks while another thread is
  // inside. Throws OwnerDied when a process died inside, until somebody calls get_lock().recover();
  // DeadlockError; what f throws.
  template <class F>
  auto with_lock(F f) const {
    auto& [head, core] = shared().guard;
    detail::RLockGuard guard(core, head);
    return f(span());
  }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Array from_object(detail::Object* object) {
    if (object != nullptr) detail::retain(object);
    return Array(TakeOver{}, object);
  }

 private:
  struct TakeOver {};
  struct TakeSize {};
  Array(TakeOver, detail::Object* owned) noexcept : HandleBase(owned) {}
  // The caller constructs the elements.
  Array(std::size_t n, TakeSize) : HandleBase(detail::create_array(n, sizeof(T), {})) {}
  detail::ArrayShared& shared() const { return shared_as<detail::ArrayShared>("Array"); }
};

}  // namespace procession
