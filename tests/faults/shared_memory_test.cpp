// Named blocks: a process killed anywhere in a call leaves under a name a whole block or nothing;
// every name that it leaves is listed, so that the keeper removes it; and the others go on.
#include "procession/shared_memory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "family.hpp"
#include "process/shared_names.hpp"
#include "procession/errors.hpp"

namespace procession::faults {
namespace {

using namespace detail;

constexpr std::size_t bytes = 5000;

class SharedMemoryFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    SharedMemory::create(bytes, name()).unlink();  // the keeper, the list
  }

  static std::string name() { return "procession-faults-" + std::to_string(::getpid()); }
  static bool is_there() { return ::access(path_of_name(name()).c_str(), F_OK) == 0; }

  void begin() {
    bury_the_dead();
    block_.reset();
    remove_family_names();
    return_kept_blocks();
    tidy_heap();
    before_ = Contents::look();
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
    expect_same(trial, before_);
    const auto again = SharedMemory::create(bytes, name());
    trial.expect(again.buffer().front() == std::byte{0}, "a new block can be made");
    again.unlink();
    trial.expect(!is_there(), "and its name removed");
  }

  std::optional<SharedMemory> block_;
  Contents before_;
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
