// Queues: a process killed anywhere in a put leaves the whole item or nothing; in a get it loses
// what it had taken, or nothing; the others find the queue as it is, and its blocks come back.
#include "procession/queue.hpp"

#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "family.hpp"
#include "procession/errors.hpp"
#include "procession/wait.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

constexpr int closed = 77;  // what a waiter returns

// What items can be: in the cell, in a block as they are, and written by the codec.
struct InCell {
  using Item = long;
  static Item make(int n) { return n; }
};
struct InBlock {
  using Item = std::array<long, 20>;
  static Item make(int n) {
    Item item;
    item.fill(n);
    return item;
  }
};
struct Encoded {
  using Item = std::string;
  static Item make(int n) { return std::string(50, static_cast<char>('a' + n)); }
};
struct Large {
  using Item = std::string;
  static Item make(int n) { return std::string(33'000, static_cast<char>('a' + n)); }
};

template <class Kind>
class QueueFaults : public FamilyFaults {
 protected:
  using Item = typename Kind::Item;

  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    const Queue<Item> warm(2);
    warm.put(Kind::make(0));
    (void)warm.get();
  }

  // The queue has items 0, 1, ..., and has moved on so that a whole lap is behind it.
  void begin(std::size_t maxsize, int items, int moved = 70) {
    bury_the_dead();
    queue_.reset();
    return_kept_blocks();
    tidy_heap();
    before_ = Contents::look();
    pieces_ = thread_table_pieces();
    queue_.emplace(maxsize);
    for (int i = 0; i < moved; ++i) {
      queue_->put(Kind::make(9));
      (void)queue_->get();
    }
    for (int i = 0; i < items; ++i) queue_->put(Kind::make(i));
  }

  static int take(const Queue<Item>& queue) {
    try {
      const Item item = queue.get();
      for (int n = 0; n < 10; ++n) {
        if (item == Kind::make(n)) return n;
      }
      return -1;  // torn
    } catch (const QueueClosed&) {
      return closed;
    }
  }

  // What is in it are whole items, in order, from one number to another.
  void expect_items(const Trial& trial, int first, int end) {
    trial.expect(queue_->size() == static_cast<std::size_t>(end - first), "its size");
    for (int i = first; i < end; ++i) {
      trial.expect(!queue_->empty() && take(*queue_) == i, "an item is missing or torn");
    }
    trial.expect(queue_->empty(), "nothing is left");
  }

  void end(const Trial& trial, bool is_closed = false) {
    bury_the_dead();
    expect_sound(trial);
    if (!is_closed) {
      for (int i = 0; i < 70; ++i) {
        queue_->put(Kind::make(i % 10));
        trial.expect(take(*queue_) == i % 10, "it goes on working");
      }
    }
    queue_.reset();
    return_kept_blocks();
    if (thread_table_pieces() == pieces_) expect_same(trial, before_);
  }

  // Killed before each instruction, or each `stride`-th.
  void kill_in_put(int stride) {
    for (const int items : {0, 2}) {
      FaultPlan plan;
      plan.name = items == 0 ? "put, empty" : "put, two items";
      plan.setup = [this, items] { begin(0, items); };
      plan.prepare = [] { (void)this_thread(); };
      plan.operation = [this, items] { queue_->put(Kind::make(items)); };
      plan.survivors = [this, items](const Trial& trial) {
        const bool there = queue_->size() == static_cast<std::size_t>(items + 1);
        trial.expect(there || !trial.completed, "a whole put is seen");
        expect_items(trial, 0, there ? items + 1 : items);
        end(trial);
      };
      kill_everywhere(plan, stride);
    }
  }
  void kill_in_get(int stride) {
    for (const int items : {1, 3}) {
      FaultPlan plan;
      plan.name = items == 1 ? "get, the only item" : "get, three items";
      plan.setup = [this, items] { begin(0, items); };
      plan.prepare = [] { (void)this_thread(); };
      plan.operation = [this] {
        if (take(*queue_) != 0) ::_exit(1);
      };
      plan.survivors = [this, items](const Trial& trial) {
        const bool taken = queue_->size() == static_cast<std::size_t>(items - 1);
        trial.expect(taken || !trial.completed, "a whole get is seen");
        expect_items(trial, taken ? 1 : 0, items);
        end(trial);
      };
      kill_everywhere(plan, stride);
    }
  }

  std::optional<Queue<Item>> queue_;
  Contents before_;
  std::size_t pieces_ = 0;
};

using Kinds = testing::Types<InCell, InBlock, Encoded>;
struct KindNames {
  template <class T>
  static std::string GetName(int) {
    if (std::is_same_v<T, InCell>) return "InCell";
    return std::is_same_v<T, InBlock> ? "InBlock" : "Encoded";
  }
};
TYPED_TEST_SUITE(QueueFaults, Kinds, KindNames);

TYPED_TEST(QueueFaults, Put) { this->kill_in_put(1); }

// Whoever is asleep in get() has the item, or goes on waiting for the next.
TYPED_TEST(QueueFaults, PutWithAWaiter) {
  FaultPlan plan;
  plan.name = "put, a waiter";
  plan.setup = [&] { this->begin(0, 0); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->queue_->put(TypeParam::make(1)); };
  plan.waiter = [&] { return this->take(*this->queue_); };
  plan.survivors = [&](const Trial& trial) {
    if (!trial.completed) this->queue_->put(TypeParam::make(2));
    const int got = trial.waiter();
    trial.expect(got == 1 || (got == 2 && !trial.completed), "the waiter has an item");
    if (got == 1 && !trial.completed) this->expect_items(trial, 2, 3);
    this->end(trial);
  };
  kill_everywhere(plan, 3);
}

// The ring is full: the item comes into the next.
TYPED_TEST(QueueFaults, PutThatGrows) {
  FaultPlan plan;
  plan.name = "put, the queue grows";
  plan.setup = [&] {
    this->begin(0, 0);
    for (int i = 0; i < 63; ++i) this->queue_->put(TypeParam::make(0));
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->queue_->put(TypeParam::make(1)); };
  plan.survivors = [&](const Trial& trial) {
    const bool there = this->queue_->size() == 64;
    trial.expect(there || (!trial.completed && this->queue_->size() == 63), "a put, or none");
    this->queue_->put(TypeParam::make(2));
    for (int i = 0; i < 63; ++i) trial.expect(this->take(*this->queue_) == 0, "the old ones");
    this->expect_items(trial, there ? 1 : 2, 3);
    this->end(trial);
  };
  kill_everywhere(plan, 29);
}

TYPED_TEST(QueueFaults, Get) { this->kill_in_get(1); }

// Whoever is asleep in put(), as the queue is full, has room now, or goes on waiting.
TYPED_TEST(QueueFaults, GetWithAWaiter) {
  FaultPlan plan;
  plan.name = "get, a waiter";
  plan.setup = [&] { this->begin(2, 2); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { (void)this->queue_->get(); };
  plan.waiter = [&] {
    this->queue_->put(TypeParam::make(2));
    return 5;
  };
  plan.survivors = [&](const Trial& trial) {
    int first = 1;
    if (!trial.completed) {
      // Nothing was taken: then this makes room; else there may be two again, or one as yet.
      const int got = this->take(*this->queue_);
      trial.expect(got == 0 || got == 1, "one of the first two");
      first = got + 1;
    }
    trial.expect(trial.waiter() == 5, "the waiter has put its item");
    this->expect_items(trial, first, 3);
    this->end(trial);
  };
  kill_everywhere(plan, 3);
}

// Items with a run of pages of their own. Most of their instructions copy bytes.
class LargeItemFaults : public QueueFaults<Large> {};

TEST_F(LargeItemFaults, Put) { kill_in_put(9973); }
TEST_F(LargeItemFaults, Get) { kill_in_get(9973); }

class WaitFaults : public FamilyFaults {};

// On the way to sleep, and asleep: who waits for several things stands in nobody's way.
TEST_F(WaitFaults, WaitThatSleepsBesideAGet) {
  std::optional<Queue<long>> queue;
  std::optional<Event> event;
  FaultPlan plan;
  plan.name = "wait for a queue and an event, a getter";
  plan.blocks = true;
  plan.setup = [&] {
    bury_the_dead();
    queue.emplace();
    event.emplace();
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { (void)wait(*queue, *event); };
  plan.waiter = [&] { return static_cast<int>(queue->get()); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "nothing is ready");
    queue->put(5);
    trial.expect(trial.waiter() == 5, "the getter has the item");
    event->set();
    trial.expect(wait(*queue, *event) == std::vector<std::size_t>{1}, "both work");
    queue.reset();
    event.reset();
  };
  kill_everywhere(plan, 7);
}

// At last it is killed asleep.
TYPED_TEST(QueueFaults, GetThatWaits) {
  FaultPlan plan;
  plan.name = "get, empty";
  plan.blocks = true;
  plan.setup = [&] { this->begin(0, 0); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { (void)this->queue_->get(); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "there is no item");
    this->queue_->put(TypeParam::make(0));
    this->expect_items(trial, 0, 1);
    this->end(trial);
  };
  kill_everywhere(plan, 2003);
}

TYPED_TEST(QueueFaults, PutThatWaits) {
  FaultPlan plan;
  plan.name = "put, full";
  plan.blocks = true;
  plan.setup = [&] { this->begin(1, 1); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->queue_->put(TypeParam::make(5)); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!trial.completed, "there is no room");
    this->expect_items(trial, 0, 1);
    this->end(trial);
  };
  kill_everywhere(plan, 2003);
}

TYPED_TEST(QueueFaults, Close) {
  FaultPlan plan;
  plan.name = "close, a waiter";
  plan.setup = [&] { this->begin(0, 0); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->queue_->close(); };
  plan.waiter = [&] { return this->take(*this->queue_); };
  plan.survivors = [&](const Trial& trial) {
    bool is_closed = false;
    try {
      this->queue_->put(TypeParam::make(1));
    } catch (const QueueClosed&) {
      is_closed = true;
    }
    trial.expect(is_closed || !trial.completed, "a whole close is seen");
    trial.expect(trial.waiter() == (is_closed ? closed : 1), "the waiter is told");
    this->end(trial, is_closed);
  };
  kill_everywhere(plan);
}

// The last handle of a queue with items: all of it goes, at once or when the dead are swept.
TYPED_TEST(QueueFaults, TheLastHandle) {
  FaultPlan plan;
  plan.name = "the last handle";
  plan.shared = family_words;
  plan.setup = [&] { this->begin(0, 3); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    const Queue<typename TestFixture::Item> mine;
    mine.put(TypeParam::make(0));
    mine.put(TypeParam::make(1));
  };
  plan.survivors = [&](const Trial& trial) {
    this->expect_items(trial, 0, 3);
    this->end(trial);
  };
  kill_everywhere(plan, 7);
}

class JoinableQueueFaults : public QueueFaults<InCell> {};

TEST_F(JoinableQueueFaults, TaskDone) {
  std::optional<JoinableQueue<long>> queue;
  FaultPlan plan;
  plan.name = "task_done, a waiter";
  plan.setup = [&] {
    bury_the_dead();
    queue.emplace();
    queue->put(1);
    (void)queue->get();
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { queue->task_done(); };
  plan.waiter = [&] {
    queue->join();
    return 3;
  };
  plan.survivors = [&](const Trial& trial) {
    bool done = queue->join(std::chrono::seconds(0));
    trial.expect(done || !trial.completed, "a whole task_done is seen");
    if (!done) queue->task_done();
    trial.expect(trial.waiter() == 3, "the waiter is told");
    bury_the_dead();
    expect_sound(trial);
  };
  kill_everywhere(plan);
}

}  // namespace
}  // namespace procession::faults
