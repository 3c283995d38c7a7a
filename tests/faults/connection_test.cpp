// Connections: a process killed anywhere in a send leaves the whole message or nothing, if it is
// small; nobody takes what is left of a larger one for a message; who is killed while it waits
// breaks nothing; a descriptor on its way is kept exactly as long as something names it.
#include "procession/connection.hpp"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "family.hpp"
#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "procession/queue.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;
using namespace std::chrono_literals;

class ConnectionFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    // What is made once: the table of connections, the keeper.
    const Queue<Connection> warm;
    const auto [one, two] = Pipe();
    warm.put(two);
    one.send(Lock());
    (void)two.recv<Lock>();
  }

  void begin() {
    bury_the_dead();
    queue_.reset();
    ends_.reset();
    return_kept_blocks();
    tidy_heap();
    before_ = Contents::look();
    pieces_ = thread_table_pieces();
    ends_.emplace(Pipe());
  }

  void expect_working(const Trial& trial, const Connection& from, const Connection& to) {
    for (int i = 50; i < 53; ++i) {
      from.send(i);
      trial.expect(to.poll(20s) && to.recv<int>() == i, "it goes on working");
      from.send(Lock());
      trial.expect(to.recv<Lock>().try_acquire(), "handles, too");
    }
    trial.expect(!to.poll(), "there is nothing else");
  }

  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    queue_.reset();
    ends_.reset();
    return_kept_blocks();
    if (thread_table_pieces() == pieces_) expect_same(trial, before_);
  }

  const Connection& first() const { return ends_->first; }
  const Connection& second() const { return ends_->second; }

  std::optional<std::pair<Connection, Connection>> ends_;
  std::optional<Queue<Connection>> queue_;
  Contents before_;
  std::size_t pieces_ = 0;
};

TEST_F(ConnectionFaults, MakingAndDroppingAPipe) {
  FaultPlan plan;
  plan.name = "Pipe()";
  plan.setup = [&] { begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [] { (void)Pipe(); };
  plan.survivors = [&](const Trial& trial) { end(trial); };
  kill_everywhere(plan, 61);
}

TEST_F(ConnectionFaults, SendingASmallMessage) {
  FaultPlan plan;
  plan.name = "send, small";
  plan.setup = [&] { begin(); };
  plan.prepare = [&] {
    first().send(1);
    (void)second().recv<int>();
  };
  plan.operation = [&] { first().send(7); };
  plan.survivors = [&](const Trial& trial) {
    const bool there = second().poll();
    trial.expect(there || !trial.completed, "a whole send is seen");
    if (there) trial.expect(second().recv<int>() == 7, "the message is whole");
    expect_working(trial, first(), second());
    expect_working(trial, second(), first());
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(ConnectionFaults, SendingAHandle) {
  std::optional<Lock> lock;
  FaultPlan plan;
  plan.name = "send, a handle";
  plan.setup = [&] {
    lock.reset();
    begin();
    lock.emplace();
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { first().send(*lock); };
  plan.survivors = [&](const Trial& trial) {
    const bool there = second().poll();
    trial.expect(there || !trial.completed, "a whole send is seen");
    if (there) trial.expect(second().recv<Lock>().try_acquire(), "the handle is whole");
    expect_working(trial, first(), second());
    lock.reset();
    end(trial);
  };
  kill_everywhere(plan, 5);
}

TEST_F(ConnectionFaults, SendingALargeMessage) {
  const std::vector<std::byte> large(100'000, std::byte{7});
  FaultPlan plan;
  plan.name = "send, large";
  plan.setup = [&] { begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { first().send_bytes(large); };
  plan.survivors = [&](const Trial& trial) {
    bool broken = false;
    try {
      first().send_bytes(std::vector<std::byte>(3, std::byte{8}));
    } catch (const ConnectionClosed&) {
      broken = true;
    }
    trial.expect(!broken || !trial.completed, "a whole send breaks nothing");
    std::size_t large_ones = 0, small_ones = 0;
    try {
      while (small_ones == 0) {
        const auto got = second().recv_bytes();
        if (got == large) {
          ++large_ones;
        } else {
          trial.expect(got == std::vector<std::byte>(3, std::byte{8}), "no garbage is received");
          ++small_ones;
        }
      }
    } catch (const ConnectionClosed&) {
      trial.expect(broken, "the receiver is told when the sender is");
    }
    trial.expect(large_ones <= 1 && (large_ones == 1 || !trial.completed), "a send, or none");
    trial.expect(broken || small_ones == 1, "the next message comes");
    expect_working(trial, second(), first());
    end(trial);
  };
  kill_everywhere(plan, 3);
}

TEST_F(ConnectionFaults, Receiving) {
  FaultPlan plan;
  plan.name = "recv";
  plan.setup = [&] {
    begin();
    for (int i = 10; i < 13; ++i) first().send(i);
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    if (second().recv<int>() != 10) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) {
    bool broken = false;
    try {
      const int next = second().recv<int>();
      trial.expect(next == 11 || (next == 10 && !trial.completed), "it is taken once");
      if (next == 10) trial.expect(second().recv<int>() == 11, "in order");
      trial.expect(second().recv<int>() == 12, "in order");
    } catch (const ConnectionClosed&) {
      broken = true;
    }
    trial.expect(!broken || !trial.completed, "a whole receive breaks nothing");
    if (!broken) expect_working(trial, first(), second());
    expect_working(trial, second(), first());
    end(trial);
  };
  kill_everywhere(plan);
}

TEST_F(ConnectionFaults, ReceivingWhatIsNotThere) {
  FaultPlan plan;
  plan.name = "recv, asleep";
  plan.setup = [&] { begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { (void)second().recv<int>(); };
  plan.blocks = true;
  plan.survivors = [&](const Trial& trial) {
    expect_working(trial, first(), second());
    expect_working(trial, second(), first());
    end(trial);
  };
  kill_everywhere(plan);
}

// The end is told exactly when nothing names the connection any more.
TEST_F(ConnectionFaults, SendingAConnectionAway) {
  FaultPlan plan;
  plan.name = "put of a Connection";
  plan.setup = [&] {
    begin();
    queue_.emplace();
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { queue_->put(second()); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    trial.expect(queue_->size() == 1 || (queue_->empty() && !trial.completed), "a put, or none");
    const bool there = !queue_->empty();
    ends_->second.close();
    if (there) {
      trial.expect(!first().poll(), "what is on its way keeps the connection open");
      queue_.reset();
    }
    trial.expect(first().poll(20s), "nothing names it any more");
    end(trial);
  };
  kill_everywhere(plan, 9);
}

TEST_F(ConnectionFaults, ReceivingAConnection) {
  FaultPlan plan;
  plan.name = "get of a Connection";
  plan.setup = [&] {
    begin();
    queue_.emplace();
    queue_->put(second());
    Connection mine = first();
    ends_->second = mine;  // this process has no handle to the other end
  };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { queue_->get().send(3); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    if (!queue_->empty()) {
      trial.expect(!trial.completed, "it was taken");
      const Connection other = queue_->get();
      if (first().poll()) trial.expect(first().recv<int>() == 3, "whole");
      expect_working(trial, first(), other);
    } else if (first().poll(20s)) {
      try {
        trial.expect(first().recv<int>() == 3, "whole");
      } catch (const ConnectionClosed&) {
        trial.expect(!trial.completed, "a whole send is seen");
      }
    }
    trial.expect(first().poll(20s), "nothing names the other end any more");
    end(trial);
  };
  kill_everywhere(plan, 23);
}

}  // namespace
}  // namespace procession::faults
