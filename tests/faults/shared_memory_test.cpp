// Named blocks: a process killed anywhere in a call leaves under a name a whole block or nothing;
// every name that it leaves is listed, so that the keeper removes it; and the others go on.
#include "procession/shared_memory.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>

#include "family.hpp"
#include "process/descriptor_keeper.hpp"
#include "process/shared_names.hpp"
#include "procession/errors.hpp"
#include "procession/queue.hpp"
#include "support/child.hpp"
#include "sync/thread_table.hpp"
#include "system/process.hpp"

namespace procession::faults {
namespace {

using namespace detail;
using namespace std::chrono_literals;

constexpr std::size_t bytes = 5000;

class SharedMemoryFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    // What is made once: the keeper, the list, the table of threads.
    const Queue<SharedMemory> warm;
    warm.put(SharedMemory::create(bytes, name()));
    warm.get().unlink();
  }

  // A child's is its parent's.
  static const std::string& name() {
    static const std::string made = "procession-faults-" + std::to_string(::getpid());
    return made;
  }
  static bool is_there() { return ::access(path_of_name(name()).c_str(), F_OK) == 0; }

  void begin() {
    bury_the_dead();
    block_.reset();
    remove_family_names();
    return_kept_blocks();
    tidy_heap();
    before_ = Contents::look();
    pieces_ = thread_table_pieces();
  }

  // What is under the name is whole, and it works.
  void expect_whole(const Trial& trial) {
    struct stat status {};
    ::stat(path_of_name(name()).c_str(), &status);
    trial.expect(status.st_size == bytes, "what has a name has its size");
    trial.expect(status.st_blocks * 512 >= static_cast<long>(bytes), "and its pages");
    const auto block = SharedMemory::attach(name());
    trial.expect(block.buffer().size() == bytes, "it can be mapped");
    block.buffer().back() = std::byte{1};
  }

  // The family could end now; then it goes on.
  void end(const Trial& trial) {
    bury_the_dead();
    expect_sound(trial);
    block_.reset();
    remove_family_names();  // what the keeper does
    trial.expect(!is_there(), "no name outlives the family");
    return_kept_blocks();
    if (thread_table_pieces() == pieces_) expect_same(trial, before_);
    const auto again = SharedMemory::create(bytes, name());
    trial.expect(again.buffer().front() == std::byte{0}, "a new block can be made");
    again.unlink();
    trial.expect(!is_there(), "and its name removed");
  }

  std::optional<SharedMemory> block_;
  Contents before_;
  std::size_t pieces_ = 0;
};

TEST_F(SharedMemoryFaults, Create) {
  FaultPlan plan;
  plan.name = "SharedMemory::create";
  plan.setup = [&] { begin(); };
  plan.operation = [] { SharedMemory::create(bytes, name()); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(is_there() || !trial.completed, "a whole create is seen");
    if (is_there()) expect_whole(trial);
    end(trial);
  };
  kill_everywhere(plan, 11);
}

// There is a keeper before there is a name, so of two that die in the end one is left.
TEST_F(SharedMemoryFaults, CreateWithoutAKeeper) {
  FaultPlan plan;
  plan.name = "SharedMemory::create, which starts the keeper";
  plan.setup = [&] {
    if (const pid_t keeper = keeper_pid(); keeper != 0) {
      const Descriptor ending = open_pidfd(keeper);
      ::kill(keeper, SIGKILL);
      test_support::wait_readable(ending.get(), test_support::Deadline(20s));
    }
    begin();
  };
  plan.operation = [] { SharedMemory::create(bytes, name()); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(is_there() || !trial.completed, "a whole create is seen");
    if (is_there()) {
      trial.expect(keeper_pid() != 0, "what is there has a keeper");
      expect_whole(trial);
    }
    bury_the_dead();
    expect_sound(trial);
    remove_family_names();
    SharedMemory::create(bytes, name()).unlink();
    trial.expect(keeper_pid() != 0, "there is a keeper for the next one");
    trial.expect(!is_there(), "whose name can be removed");
  };
  kill_everywhere(plan, 997);
}

TEST_F(SharedMemoryFaults, Attach) {
  FaultPlan plan;
  plan.name = "SharedMemory::attach";
  plan.setup = [&] {
    begin();
    block_ = SharedMemory::create(bytes, name());
  };
  plan.operation = [] { (void)SharedMemory::attach(name()); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(is_there(), "who attaches removes nothing");
    expect_whole(trial);
    trial.expect(block_->buffer().back() == std::byte{1}, "the others go on");
    end(trial);
  };
  kill_everywhere(plan, 11);
}

TEST_F(SharedMemoryFaults, Unlink) {
  FaultPlan plan;
  plan.name = "SharedMemory::unlink";
  plan.setup = [&] {
    begin();
    block_ = SharedMemory::create(bytes, name());
  };
  plan.operation = [&] { block_->unlink(); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(!is_there() || !trial.completed, "a whole unlink is seen");
    bool removed = false;
    try {
      block_->unlink();
      removed = true;
    } catch (const StateError&) {
    }
    trial.expect(!(removed && trial.completed), "it is removed once");
    trial.expect(!is_there(), "unlinking can be finished by another");
    block_->buffer().front() = std::byte{2};
    end(trial);
  };
  kill_everywhere(plan);
}

// By a forked process, which has it mapped from its parent.
TEST_F(SharedMemoryFaults, Closing) {
  FaultPlan plan;
  plan.name = "SharedMemory::close";
  plan.setup = [&] {
    begin();
    block_ = SharedMemory::create(bytes, name());
  };
  plan.operation = [&] { block_->close(); };
  plan.survivors = [&](const Trial& trial) {
    trial.expect(is_there(), "the name stays");
    expect_whole(trial);
    trial.expect(block_->buffer().back() == std::byte{1}, "close() is the process's own");
    end(trial);
  };
  kill_everywhere(plan);
}

// By its name, and by what the keeper has when the name is gone.
TEST_F(SharedMemoryFaults, FirstUseInAnotherProcess) {
  for (const bool unlinked : {false, true}) {
    std::optional<Queue<SharedMemory>> queue;
    FaultPlan plan;
    plan.name = unlinked ? "first SharedMemory::buffer, unlinked" : "first SharedMemory::buffer";
    plan.setup = [&] {
      queue.reset();
      begin();
      queue.emplace();
      const auto block = SharedMemory::create(bytes, name());
      block.buffer()[0] = std::byte{9};
      if (unlinked) block.unlink();
      queue->put(block);
      queue->put(block);
    };
    plan.prepare = [] { (void)this_thread(); };
    plan.operation = [&] {
      if (queue->get().buffer()[0] != std::byte{9}) ::_exit(1);
    };
    plan.survivors = [&](const Trial& trial) {
      bury_the_dead();
      trial.expect(is_there() != unlinked, "the name is as it was");
      trial.expect(queue->size() == 1 || !trial.completed, "it was taken");
      trial.expect(queue->get().buffer()[0] == std::byte{9}, "others can use it, too");
      queue.reset();
      end(trial);
    };
    kill_everywhere(plan, 29);
  }
}

// More names than the list has room for: it grows, and what is stale is used again.
TEST_F(SharedMemoryFaults, ManyOfTheDeadMakeTheListNoLonger) {
  for (int i = 0; i < 100; ++i) {
    run_and_end([] { SharedMemory::create(bytes, name()); });
    ::unlink(path_of_name(name()).c_str());  // by somebody else
  }
  bury_the_dead();
  return_kept_blocks();
  const Contents before = Contents::look();
  for (int i = 0; i < 1000; ++i) {
    run_and_end([] { SharedMemory::create(bytes, name()); });
    ::unlink(path_of_name(name()).c_str());
  }
  bury_the_dead();
  return_kept_blocks();
  EXPECT_EQ(Contents::look().blocks.size(), before.blocks.size());
}

}  // namespace
}  // namespace procession::faults
