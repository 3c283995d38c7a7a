// Random sequences of calls, each compared with what a plain model of a queue does.
#include <rapidcheck.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "procession/errors.hpp"
#include "procession/queue.hpp"
#include "procession/value.hpp"
#include "support/fixture.hpp"

namespace procession {
namespace {

using namespace std::chrono_literals;

// What a call came to.
enum class Outcome { Done, Full, Empty, Closed, Refused };

std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  constexpr std::array names{"Done", "Full", "Empty", "Closed", "Refused"};
  return out << names.at(static_cast<std::size_t>(outcome));
}

template <class Call>
Outcome outcome_of(Call call) {
  try {
    return call();
  } catch (const QueueFull&) {
    return Outcome::Full;
  } catch (const QueueEmpty&) {
    return Outcome::Empty;
  } catch (const QueueClosed&) {
    return Outcome::Closed;
  } catch (const StateError&) {
    return Outcome::Refused;
  }
}

// Items are known by a number; what comes out must be the whole item.
struct Numbers {
  using Item = int;
  static Item make(int n) { return n; }
};
struct Texts {
  using Item = std::string;
  static Item make(int n) {
    const std::size_t length = n % 7 == 0 ? 100'000 : static_cast<std::size_t>(n % 30);
    return std::string(length, static_cast<char>('a' + n % 26)) + std::to_string(n);
  }
};
struct Nested {
  using Item = std::vector<std::pair<std::string, std::vector<long>>>;
  static Item make(int n) {
    return Item(static_cast<std::size_t>(n % 5),
                {std::to_string(n), std::vector<long>(static_cast<std::size_t>(n % 50), n)});
  }
};
struct Wide {
  using Item = std::array<long, 33>;
  static Item make(int n) {
    Item item;
    item.fill(n);
    return item;
  }
};

struct Model {
  std::deque<int> items;
  std::size_t maxsize = 0;
  bool closed = false;
  int put = 0, done = 0;

  [[nodiscard]] bool full() const { return maxsize != 0 && items.size() >= maxsize; }
  Outcome add(int n) {
    if (closed) return Outcome::Closed;
    if (full()) return Outcome::Full;
    items.push_back(n);
    ++put;
    return Outcome::Done;
  }
  Outcome take(std::optional<int>& n) {
    if (items.empty()) return closed ? Outcome::Closed : Outcome::Empty;
    n = items.front();
    items.pop_front();
    return Outcome::Done;
  }
};

template <class Kind>
class QueueProperties : public ::testing::Test {
 protected:
  using Item = typename Kind::Item;

  // One call, on both, compared.
  void step(const JoinableQueue<Item>& queue, Model& model) {
    const int call = *rc::gen::inRange(0, 16);
    if (call < 5) return put(queue, model, call);
    if (call < 10) return take(queue, model, call);
    switch (call) {
      case 10:
        return put_many(queue, model);
      case 11:
        return take_many(queue, model);
      case 12:
        return finish(queue, model);
      case 13:
        RC_ASSERT(queue.join(0ms) == (model.done == model.put));
        return;
      case 14:
        return walk(queue, model);
      default:
        if (*rc::gen::inRange(0, 8) != 0) return;
        queue.close();
        model.closed = true;
    }
  }

  void put(const JoinableQueue<Item>& queue, Model& model, int way) {
    if (way == 4 && model.full() && !model.closed) return;  // it would wait
    const int n = next_++;
    const Item item = Kind::make(n);
    const Outcome ours = outcome_of([&] {
      bool done = true;
      if (way == 0) done = queue.try_put(item);
      if (way == 1) queue.put_nowait(item);
      if (way == 2) done = queue.put(item, 0ms);
      if (way == 3) done = queue.put(item, -5s);
      if (way == 4) queue.put(item);
      return done ? Outcome::Done : Outcome::Full;
    });
    RC_ASSERT(ours == model.add(n));
  }

  void take(const JoinableQueue<Item>& queue, Model& model, int way) {
    if (way == 9 && model.items.empty() && !model.closed) return;  // it would wait
    std::optional<Item> item;
    const Outcome ours = outcome_of([&] {
      if (way == 5) item = queue.try_get();
      if (way == 6) item = queue.get_nowait();
      if (way == 7) item = queue.get(0ms);
      if (way == 8) item = queue.try_get(0ms);
      if (way == 9) item = queue.get();
      return item ? Outcome::Done : Outcome::Empty;
    });
    std::optional<int> expected;
    RC_ASSERT(ours == model.take(expected));
    if (expected) RC_ASSERT(*item == Kind::make(*expected));
  }

  void put_many(const JoinableQueue<Item>& queue, Model& model) {
    std::size_t count = *rc::gen::inRange<std::size_t>(0, 100);
    if (model.maxsize != 0 && !model.closed) {
      count = std::min(count, model.maxsize - model.items.size());
    }
    std::vector<Item> items;
    const int first = next_;
    for (std::size_t i = 0; i < count; ++i) items.push_back(Kind::make(next_++));
    std::size_t done = 0;
    const Outcome ours = outcome_of([&] {
      done = queue.put_many(items);
      return Outcome::Done;
    });
    RC_ASSERT(ours == (model.closed && count != 0 ? Outcome::Closed : Outcome::Done));
    if (model.closed) return;
    RC_ASSERT(done == count);
    for (std::size_t i = 0; i < count; ++i) (void)model.add(first + static_cast<int>(i));
  }

  void take_many(const JoinableQueue<Item>& queue, Model& model) {
    const auto most = *rc::gen::inRange<std::size_t>(0, 40);
    if (model.items.empty() && (most != 0) && !model.closed) return;  // it would wait
    std::vector<Item> items;
    const Outcome ours = outcome_of([&] {
      items = queue.get_many(most);
      return Outcome::Done;
    });
    if (model.items.empty() && most != 0) {
      RC_ASSERT(ours == Outcome::Closed);
      return;
    }
    RC_ASSERT(items.size() == std::min(most, model.items.size()));
    for (const Item& item : items) {
      std::optional<int> expected;
      (void)model.take(expected);
      RC_ASSERT(item == Kind::make(*expected));
    }
  }

  void finish(const JoinableQueue<Item>& queue, Model& model) {
    const Outcome ours = outcome_of([&] {
      queue.task_done();
      return Outcome::Done;
    });
    RC_ASSERT(ours == (model.done == model.put ? Outcome::Refused : Outcome::Done));
    if (ours == Outcome::Done) ++model.done;
  }

  // The loop ends with a closed queue.
  void walk(const JoinableQueue<Item>& queue, Model& model) {
    if (!model.closed) return;
    for (const Item& item : queue) {
      std::optional<int> expected;
      RC_ASSERT(model.take(expected) == Outcome::Done);
      RC_ASSERT(item == Kind::make(*expected));
    }
    RC_ASSERT(model.items.empty());
  }

  int next_ = 0;
};

using Kinds = ::testing::Types<Numbers, Texts, Nested, Wide>;
struct KindNames {
  template <class T>
  static std::string GetName(int) {
    if (std::is_same_v<T, Numbers>) return "Numbers";
    if (std::is_same_v<T, Texts>) return "Texts";
    return std::is_same_v<T, Nested> ? "Nested" : "Wide";
  }
};
TYPED_TEST_SUITE(QueueProperties, Kinds, KindNames);

TYPED_TEST(QueueProperties, DoWhatTheModelDoes) {
  const bool held = rc::check("a queue and a deque", [this] {
    Model model;
    model.maxsize = *rc::gen::element<std::size_t>(0, 0, 1, 2, 3, 64, 65, 200);
    const JoinableQueue<typename TypeParam::Item> queue(model.maxsize);
    const int steps = *rc::gen::inRange(1, 300);
    for (int i = 0; i < steps; ++i) {
      this->step(queue, model);
      RC_ASSERT(queue.size() == model.items.size());
      RC_ASSERT(queue.empty() == model.items.empty());
      RC_ASSERT(queue.full() == model.full());
    }
    queue.close();
    model.closed = true;
    this->walk(queue, model);
  });
  EXPECT_TRUE(held);
}

// Handles in a queue keep what they name, and let go of it.
TEST(QueuePropertiesOfHandles, WhatIsNamedLivesAsLongAsItIsInTheQueue) {
  const bool held = rc::check("values in a queue", [] {
    SimpleQueue<Value<int>> queue;
    std::deque<int> model;
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(-3, 1000));
    for (const int step : steps) {
      if (step >= 0) {
        queue.put(Value<int>(step));
        model.push_back(step);
      } else if (!model.empty()) {
        RC_ASSERT(queue.get().load() == model.front());
        model.pop_front();
      }
      RC_ASSERT(queue.empty() == model.empty());
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace procession
