// Queues: items go in at one end and come out at the other, in order, each once.
//
//   mp::Queue<std::string> names;                   // as many items as there is memory
//   mp::Queue<Frame> frames(8);                     // put() waits while 8 are in it
//
//   Process reader([names] { for (const auto& name : names) print(name); });
//   reader.start();
//   names.put("one");
//   names.close();                                  // the loop ends when it is empty
//
// What each call makes of each state:
//
// clang-format off
// |                    | empty           | has items  | full            | closed, has | closed,     |
// |                    |                 |            |                 | items       | empty       |
// | put(x)             | puts            | puts       | waits           | QueueClosed | QueueClosed |
// | put(x, duration),  | puts, true      | puts, true | false when it   | QueueClosed | QueueClosed |
// | try_put(x)         |                 |            | stays full      |             |             |
// | put_nowait(x)      | puts            | puts       | QueueFull       | QueueClosed | QueueClosed |
// | get()              | waits           | takes      | takes           | takes       | QueueClosed |
// | get(duration),     | QueueEmpty when | takes      | takes           | takes       | QueueClosed |
// | get_nowait()       | it stays empty  |            |                 |             |             |
// | try_get()          | none            | takes      | takes           | takes       | QueueClosed |
// | get_many(n)        | waits           | takes up to n, whoever puts them in meanwhile| QueueClosed |
// clang-format on
//
// put() ships the item before it returns: an error is the caller's, what is done to the object
// afterwards is not sent, and a process may end right after it with nothing lost. Items are at most
// copied in once and out once.
//
// Guaranteed: a process that is killed at any instruction of a put leaves the whole item or
// nothing; one that is killed in a get loses the item that it had taken, or none. Either leaves
// the queue as it is for the others, and what it held of the queue's memory comes back. Nobody
// waits for a process that is stopped in the middle of a call.
//
// Memory: 16 bytes for each item there is room for, and a block for each item of more than 8
// bytes. The room grows by doubling and stays until the queue goes away.
#pragma once

#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/detail/codec.hpp"
#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/detail/queue_core.hpp"
#include "procession/errors.hpp"
#include "procession/types.hpp"

namespace procession {

namespace detail {

// Items to and from what lies in the queue.
template <class T>
struct QueueCodec {
  static constexpr bool plain = shape_of<T> == Shape::Bytes && alignof(T) <= 16;
  static constexpr bool in_cell = plain && sizeof(T) <= sizeof(void*);
  struct Head {
    std::size_t bytes;
  };

  [[nodiscard]] static QueueItem pack(const T& value) {
    assert_shippable<T>();
    if constexpr (!shippable_value<T>) {
      __builtin_unreachable();  // the assertion has said why
    } else if constexpr (in_cell) {
      void* bits = nullptr;
      std::memcpy(&bits, std::addressof(value), sizeof(T));
      return {bits, false};
    } else if constexpr (plain) {
      void* block = allocate(sizeof(T));
      std::memcpy(block, std::addressof(value), sizeof(T));
      return {block, true};
    } else {
      Writer writer("Queue::put", sizeof(Head));
      encode(writer, value);
      const std::size_t bytes = writer.size();
      void* block = writer.finish();
      static_cast<Head*>(block)->bytes = bytes;
      return {block, true};
    }
  }

  [[nodiscard]] static T unpack(const TakenItem& item) {
    if constexpr (plain) {
      void* bits = item.bits();
      const void* from = in_cell ? &bits : item.block();
      struct alignas(T) Bytes {
        std::byte bytes[sizeof(T)];
      } copy;
      std::memcpy(&copy, from, sizeof(T));
      return std::bit_cast<T>(copy);
    } else {
      const auto* block = static_cast<const std::byte*>(item.block());
      Reader reader(block, reinterpret_cast<const Head*>(block)->bytes, sizeof(Head));
      return decode<T>(reader);
    }
  }
};

}  // namespace detail

// What queues of all types have in common. A handle: copies name the same queue, in every process
// of the family. All methods may be called from any thread; on an empty (moved-from) handle they
// throw StateError. All may throw OutOfMemory at the first use in a thread.
class QueueBase : public detail::HandleBase {
 public:
  // Of one moment during the call. Never block.
  [[nodiscard]] std::size_t size() const { return detail::queue_size(shared()); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool full() const { return detail::queue_full(shared()); }

  // No more puts; who waits in one gets QueueClosed. What is in the queue can be taken; then gets
  // throw QueueClosed, too. Never blocks. Closing twice is closing once. Throws OutOfMemory.
  void close() const { detail::queue_close(shared()); }

 protected:
  QueueBase(std::size_t maxsize, bool joinable, const Name& name)
      : HandleBase(detail::create_queue(maxsize, joinable, name.text)) {}
  explicit QueueBase(detail::Object* owned) noexcept : HandleBase(owned) {}
  [[nodiscard]] detail::QueueShared& shared() const {
    return shared_as<detail::QueueShared>("Queue");
  }
};

// T: any shippable type. Encoding and decoding may throw what they throw (NotShippable, a user's
// serialize): then a put has put nothing, and a get has lost its item.
template <class T>
class Queue : public QueueBase {
  static_assert(std::is_same_v<T, std::remove_cvref_t<T>>, "Queue<T> holds values: T is plain");
  using Codec = detail::QueueCodec<T>;

 public:
  using value_type = T;

  // At most `maxsize` items at a time; 0: as many as there is memory. The name is what errors call
  // it. Throws OutOfMemory.
  Queue() : Queue(0) {}
  explicit Queue(std::size_t maxsize, const Name& name = {}) : QueueBase(maxsize, false, name) {}
  explicit Queue(const Name& name) : Queue(0, name) {}

  // Blocks while the queue is full. Throws QueueClosed, OutOfMemory, NotShippable.
  void put(const T& item) const { (void)put_until(item, detail::TimePoint::max()); }
  // Blocks for `duration` at most; false: it was full all the time.
  template <class Rep, class Period>
  bool put(const T& item, const std::chrono::duration<Rep, Period>& duration) const {
    return put_until(item, detail::deadline_after(duration));
  }
  [[nodiscard]] bool try_put(const T& item) const { return put_until(item, detail::at_once); }
  // Throws QueueFull.
  void put_nowait(const T& item) const {
    if (!try_put(item)) detail::throw_queue_full(shared());
  }
  // All of them, in order, as put() does. How many were put: fewer than given where the queue was
  // closed meanwhile. Throws QueueClosed when none was.
  template <std::ranges::input_range R>
  requires std::convertible_to<std::ranges::range_reference_t<R>, T> std::size_t put_many(R&& items)
  const {
    std::size_t count = 0;
    for (auto&& each : items) {
      const detail::QueueItem item = Codec::pack(each);
      if (put_packed(item, detail::TimePoint::max()) == detail::QueueOutcome::Closed) {
        if (count == 0) detail::throw_queue_closed(shared(), true);
        return count;
      }
      ++count;
    }
    return count;
  }

  // Blocks while the queue is empty. Throws QueueClosed.
  T get() const { return take(detail::TimePoint::max()); }
  // Blocks for `duration` at most. Throws QueueEmpty, QueueClosed.
  template <class Rep, class Period>
  T get(const std::chrono::duration<Rep, Period>& duration) const {
    return take(detail::deadline_after(duration));
  }
  T get_nowait() const { return take(detail::at_once); }
  // None: it was empty. Throw QueueClosed.
  [[nodiscard]] std::optional<T> try_get() const { return try_take(detail::at_once); }
  template <class Rep, class Period>
  [[nodiscard]] std::optional<T> try_get(const std::chrono::duration<Rep, Period>& duration) const {
    return try_take(detail::deadline_after(duration));
  }
  // Waits for one, and takes what else is there, up to `most` in all. Throws QueueClosed.
  [[nodiscard]] std::vector<T> get_many(std::size_t most) const {
    std::vector<T> items;
    if (most == 0) return items;
    items.push_back(get());
    while (items.size() < most) {
      detail::TakenItem item;
      if (detail::queue_get(shared(), item, !Codec::in_cell, detail::at_once) !=
          detail::QueueOutcome::Done)
        break;
      items.push_back(Codec::unpack(item));
    }
    return items;
  }

  // Takes items until the queue is closed and empty. Copies of an iterator share their item.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    T& operator*() const { return **item_; }
    T* operator->() const { return std::addressof(**item_); }
    Iterator& operator++() {
      next();
      return *this;
    }
    void operator++(int) { next(); }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !*it.item_; }

   private:
    friend class Queue;
    explicit Iterator(const Queue& queue)
        : queue_(queue), item_(std::make_shared<std::optional<T>>()) {
      next();
    }
    void next() {
      item_->reset();
      detail::TakenItem taken;
      if (detail::queue_get(queue_.shared(), taken, !Codec::in_cell, detail::TimePoint::max()) ==
          detail::QueueOutcome::Done) {
        item_->emplace(Codec::unpack(taken));
      }
    }
    Queue queue_;
    std::shared_ptr<std::optional<T>> item_;
  };
  // Blocks while the queue is empty.
  [[nodiscard]] Iterator begin() const { return Iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Queue from_object(detail::Object* object) {
    if (object != nullptr) detail::retain(object);
    return Queue(TakeOver{}, object);
  }

 protected:
  struct TakeOver {};
  Queue(TakeOver, detail::Object* owned) noexcept : QueueBase(owned) {}
  struct Joinable {};
  Queue(Joinable, std::size_t maxsize, const Name& name) : QueueBase(maxsize, true, name) {}

 private:
  detail::QueueOutcome put_packed(const detail::QueueItem& item, detail::TimePoint until) const {
    try {
      const detail::QueueOutcome outcome = detail::queue_put(shared(), item, until);
      if (outcome != detail::QueueOutcome::Done && item.in_block) detail::deallocate(item.bits);
      return outcome;
    } catch (...) {
      if (item.in_block) detail::deallocate(item.bits);
      throw;
    }
  }
  bool put_until(const T& value, detail::TimePoint until) const {
    (void)shared();
    const detail::QueueOutcome outcome = put_packed(Codec::pack(value), until);
    if (outcome == detail::QueueOutcome::Closed) detail::throw_queue_closed(shared(), true);
    return outcome == detail::QueueOutcome::Done;
  }
  std::optional<T> try_take(detail::TimePoint until) const {
    detail::TakenItem item;
    switch (detail::queue_get(shared(), item, !Codec::in_cell, until)) {
      case detail::QueueOutcome::Done:
        return Codec::unpack(item);
      case detail::QueueOutcome::Closed:
        detail::throw_queue_closed(shared(), false);
      default:
        return std::nullopt;
    }
  }
  T take(detail::TimePoint until) const {
    if (auto item = try_take(until)) return *std::move(item);
    detail::throw_queue_empty(shared());
  }
};

// A queue that knows whether its items have been dealt with: every item taken is to be followed by
// one task_done(), from any process.
template <class T>
class JoinableQueue : public Queue<T> {
 public:
  JoinableQueue() : JoinableQueue(0) {}
  explicit JoinableQueue(std::size_t maxsize, const Name& name = {})
      : Queue<T>(typename Queue<T>::Joinable{}, maxsize, name) {}
  explicit JoinableQueue(const Name& name) : JoinableQueue(0, name) {}

  // Never blocks. Throws StateError when it was called for all items that were ever put.
  void task_done() const { detail::queue_task_done(this->shared()); }
  // Blocks until task_done() was called for all that has been put. A process that died with an
  // item never calls it.
  void join() const { (void)detail::queue_join(this->shared(), detail::TimePoint::max()); }
  // False: not within `duration`.
  template <class Rep, class Period>
  bool join(const std::chrono::duration<Rep, Period>& duration) const {
    return detail::queue_join(this->shared(), detail::deadline_after(duration));
  }

  static JoinableQueue from_object(detail::Object* object) {
    if (object != nullptr) detail::retain(object);
    return JoinableQueue(typename Queue<T>::TakeOver{}, object);
  }

 private:
  JoinableQueue(typename Queue<T>::TakeOver take_over, detail::Object* owned) noexcept
      : Queue<T>(take_over, owned) {}
};

// A queue without bounds, and with the few calls that most programs need.
template <class T>
class SimpleQueue : private Queue<T> {
 public:
  SimpleQueue() : SimpleQueue(Name{}) {}
  explicit SimpleQueue(const Name& name) : Queue<T>(0, name) {}
  using Queue<T>::put;
  using Queue<T>::get;
  using Queue<T>::empty;
  using Queue<T>::close;
  using Queue<T>::handle_object;

  static SimpleQueue from_object(detail::Object* object) {
    return SimpleQueue(Queue<T>::from_object(object));
  }

 private:
  explicit SimpleQueue(Queue<T>&& queue) noexcept : Queue<T>(std::move(queue)) {}
};

}  // namespace procession
