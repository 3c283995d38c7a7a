// Named blocks as handles: captured, passed, put in queues, returned; and what the keeper has to do
// with it.
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "process/descriptor_keeper.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"
#include "procession/queue.hpp"
#include "procession/shared_memory.hpp"
#include "shared/shared_family.hpp"

namespace procession {
namespace {

using namespace shared_test;
using test_support::Child;
using test_support::ChildStatus;
using test_support::start_child;

char* text_of(const SharedMemory& block) { return reinterpret_cast<char*>(block.buffer().data()); }

class SharedMemoryTravel : public ::testing::TestWithParam<StartMethod> {
 protected:
  ProcessOptions options() const { return {.start_method = GetParam()}; }
  void run(Process process) {
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), 0);
  }
};
INSTANTIATE_TEST_SUITE_P(Methods, SharedMemoryTravel,
                         ::testing::Values(StartMethod::Fork, StartMethod::ForkServer,
                                           StartMethod::Spawn),
                         [](const auto& test) {
                           return test.param == StartMethod::Fork    ? "Fork"
                                  : test.param == StartMethod::Spawn ? "Spawn"
                                                                     : "ForkServer";
                         });

void append(const SharedMemory& block, const std::string& text) {
  std::strcat(text_of(block), text.c_str());
}

TEST_P(SharedMemoryTravel, CapturedPassedAndQueued) {
  const NameSpace names("travel");
  const auto block = SharedMemory::create(100, names());
  run(Process(options(), [block] { append(block, "captured "); }));
  run(Process(options(), append, block, "passed "));
  const Queue<SharedMemory> queue;
  queue.put(block);
  run(Process(options(), [queue] { append(queue.get(), "queued"); }));
  EXPECT_STREQ(text_of(block), "captured passed queued");
  block.unlink();
}

TEST_P(SharedMemoryTravel, MadeByAChildAndAttachedByName) {
  const NameSpace names("child");
  const Queue<SharedMemory> queue;
  run(Process(
      options(),
      [queue](const std::string& name) {
        queue.put(SharedMemory::create(100, name));
        append(SharedMemory::attach(name), "theirs");
      },
      names()));
  EXPECT_STREQ(text_of(SharedMemory::attach(names())), "theirs");
  const auto block = queue.get();
  EXPECT_STREQ(text_of(block), "theirs");
  block.unlink();
}

TEST_P(SharedMemoryTravel, AGrandchildHasIt) {
  const NameSpace names("grandchild");
  const auto block = SharedMemory::create(100, names());
  run(Process(
      options(),
      [block](StartMethod method) {
        Process below({.start_method = method}, append, block, "from below");
        below.start();
        below.join();
      },
      GetParam()));
  EXPECT_STREQ(text_of(block), "from below");
  block.unlink();
}

// The name is gone, and is another block's, before the process first uses it.
TEST_P(SharedMemoryTravel, AnUnlinkedBlockIsReachedAllTheSame) {
  const NameSpace names("unlinked");
  const Queue<SharedMemory> queue;
  {
    const auto block = SharedMemory::create(100, names());
    append(block, "first ");
    queue.put(block);
    block.unlink();
  }
  make_stranger(names(), "stranger");
  run(Process(options(), [queue] {
    const auto block = queue.get();
    append(block, "second");
    queue.put(block);
  }));
  EXPECT_STREQ(text_of(queue.get()), "first second");
  EXPECT_EQ(read_stranger(names()), "stranger");
  remove_name(names());
}

TEST_P(SharedMemoryTravel, AnAttachedBlockIsAHandleToo) {
  const NameSpace names("attached");
  std::string text = "stranger ";
  text.resize(110);
  make_stranger(names(), text);
  const auto block = SharedMemory::attach(names());
  remove_name(names());
  run(Process(options(), append, block, "no more"));
  EXPECT_STREQ(text_of(block), "stranger no more");
}

TEST_P(SharedMemoryTravel, CloseIsTheProcesssOwn) {
  const NameSpace names("close");
  const auto block = SharedMemory::create(100, names());
  run(Process(options(), [block] {
    append(block, "before");
    block.close();
    try {
      (void)block.buffer();
      ::_exit(3);
    } catch (const StateError&) {
    }
    block.unlink();
  }));
  EXPECT_STREQ(text_of(block), "before");
  EXPECT_FALSE(is_there(names()));
}

TEST_P(SharedMemoryTravel, ToAndFromACallOfAPool) {
  Pool pool(PoolOptions{.processes = 2, .start_method = GetParam()});
  const auto block = SharedMemory::create(100);
  pool.apply(append, block, std::string("called"));
  EXPECT_STREQ(text_of(block), "called");
  const auto result = pool.apply([] {
    auto made = SharedMemory::create(100);
    append(made, "returned");
    made.unlink();
    return made;
  });
  EXPECT_STREQ(text_of(result), "returned");
  block.unlink();
}

TEST_P(SharedMemoryTravel, AKilledProcessTakesNothingAlong) {
  const NameSpace names("killed");
  const auto block = SharedMemory::create(100, names());
  const Event written;
  Process process(options(), [block, written] {
    append(block, "written");
    written.set();
    ::pause();
  });
  process.start();
  written.wait();
  process.kill();
  process.join();
  EXPECT_STREQ(text_of(block), "written");
  EXPECT_TRUE(is_there(names()));
  block.unlink();
}

TEST(SharedMemoryFork, APlainForkHasWhatItsParentHad) {
  const NameSpace names("fork");
  const auto block = SharedMemory::create(100, names());
  const auto closed = SharedMemory::attach(names());
  closed.close();
  Child child = start_child([&] {
    append(block, "by a fork");
    EXPECT_THROW((void)closed.buffer(), StateError);
    SharedMemory::create(10, names("second"));
    block.close();
  });
  EXPECT_EQ(child.wait(), (ChildStatus{0, 0}));
  EXPECT_STREQ(text_of(block), "by a fork");
  SharedMemory::attach(names("second")).unlink();
  block.unlink();
}

// What only the keeper had is lost with it; what has its name is not.
TEST(SharedMemoryKeeper, WithoutItABlockIsReachedByItsName) {
  const NameSpace names("keeperless");
  const auto named = SharedMemory::create(100, names("named"));
  const auto unlinked = SharedMemory::create(100, names("unlinked"));
  unlinked.unlink();
  (void)detail::fetch_descriptor(0);  // it has read what came before, and answers
  const pid_t keeper = detail::keeper_pid();
  ASSERT_NE(keeper, 0);
  const Ending ending(keeper);
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(ending.ends());
  Process process([named, unlinked] {
    append(named, "by name");
    try {
      (void)unlinked.buffer();
      ::_exit(3);
    } catch (const StateError& error) {
      append(named,
             std::strstr(error.what(), "lost its name") != nullptr ? ", told" : error.what());
    }
  });
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_STREQ(text_of(named), "by name, told");
  append(unlinked, "mapped here");
  EXPECT_STREQ(text_of(unlinked), "mapped here");
  named.unlink();
}

TEST(SharedMemoryKeeper, ANewOneComesWithTheNextCreate) {
  const pid_t first = [] {
    SharedMemory::create(1).unlink();
    return detail::keeper_pid();
  }();
  ASSERT_NE(first, 0);
  const Ending ending(first);
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(ending.ends());
  EXPECT_EQ(detail::keeper_pid(), 0);
  const auto block = SharedMemory::create(1);
  EXPECT_NE(detail::keeper_pid(), 0);
  EXPECT_NE(detail::keeper_pid(), first);
  block.unlink();
}

}  // namespace
}  // namespace procession
