// Named blocks: what each call makes of each state.
#include "procession/shared_memory.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "procession/errors.hpp"
#include "procession/memory.hpp"
#include "procession/queue.hpp"
#include "shared/shared_family.hpp"

namespace procession {
namespace {

using namespace shared_test;

char* text_of(const SharedMemory& block) { return reinterpret_cast<char*>(block.buffer().data()); }

template <class E, class F>
std::string error_of(F&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(SharedMemoryTest, IsAFileOfItsOwnerWithAllItsPages) {
  const NameSpace names("file");
  const auto block = SharedMemory::create(1'000'001, names());
  EXPECT_EQ(block.name(), names());
  EXPECT_EQ(block.size(), 1'000'001u);
  ASSERT_EQ(block.buffer().size(), 1'000'001u);
  EXPECT_TRUE(std::ranges::all_of(block.buffer(), [](std::byte b) { return b == std::byte{0}; }));
  struct stat status {};
  ASSERT_EQ(::stat(("/dev/shm/" + names()).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0600u);
  EXPECT_EQ(status.st_uid, ::geteuid());
  EXPECT_EQ(status.st_size, 1'000'001);
  EXPECT_GE(status.st_blocks * 512, 1'000'001);
  block.buffer().back() = std::byte{7};
  EXPECT_EQ(read_stranger(names()).back(), 7);
  block.unlink();
  EXPECT_FALSE(is_there(names()));
}

TEST(SharedMemoryTest, AMadeUpNameIsNobodyElses) {
  const auto one = SharedMemory::create(1), two = SharedMemory::create(1);
  EXPECT_NE(one.name(), two.name());
  EXPECT_TRUE(is_there(one.name()));
  EXPECT_TRUE(is_there(two.name()));
  one.unlink();
  two.unlink();
}

TEST(SharedMemoryTest, RefusesNamesAndSizesThatCannotBe) {
  const std::string long_name(256, 'x'), fits(255, 'x');
  for (const std::string& name : {std::string("/"), std::string("a/b"), std::string("//a"),
                                  std::string("a/"), std::string("."), std::string(".."),
                                  std::string("/.."), std::string("a\0b", 3), long_name}) {
    EXPECT_TRUE(has(error_of<std::invalid_argument>([&] { (void)SharedMemory::create(1, name); }),
                    "the name of shared memory '"));
    EXPECT_THROW((void)SharedMemory::attach(name), std::invalid_argument);
  }
  EXPECT_THROW((void)SharedMemory::attach(""), std::invalid_argument);
  EXPECT_THROW((void)SharedMemory::create(0), std::invalid_argument);
  const auto longest = SharedMemory::create(1, fits);
  EXPECT_EQ(longest.name(), fits);
  EXPECT_EQ(SharedMemory::attach(fits).size(), 1u);
  longest.unlink();
}

TEST(SharedMemoryTest, ASlashAtTheBeginningOfANameDoesNotCount) {
  const NameSpace names("slash");
  const auto block = SharedMemory::create(5, "/" + names());
  EXPECT_EQ(block.name(), names());
  EXPECT_EQ(SharedMemory::attach("/" + names()).name(), names());
  EXPECT_EQ(SharedMemory::attach(names()).size(), 5u);
  block.unlink();
}

TEST(SharedMemoryTest, ANameThatExistsIsRefusedAndLeftAlone) {
  const NameSpace names("clash");
  const auto block = SharedMemory::create(10, names());
  std::strcpy(text_of(block), "mine");
  EXPECT_TRUE(has(error_of<StateError>([&] { (void)SharedMemory::create(20, names()); }), names()));
  EXPECT_STREQ(text_of(SharedMemory::attach(names())), "mine");
  EXPECT_EQ(names.count(), 1u);
  block.unlink();
  make_stranger(names(), "somebody's");
  EXPECT_THROW((void)SharedMemory::create(20, names()), StateError);
  EXPECT_EQ(read_stranger(names()), "somebody's");
  remove_name(names());
}

TEST(SharedMemoryTest, AttachesOnlyToWhatIsThereAndSized) {
  const NameSpace names("attach");
  EXPECT_TRUE(has(error_of<StateError>([&] { (void)SharedMemory::attach(names()); }), names()));
  make_stranger(names(), "");
  EXPECT_TRUE(has(error_of<StateError>([&] { (void)SharedMemory::attach(names()); }), "empty"));
  remove_name(names());
  ::mkdir(("/dev/shm/" + names()).c_str(), 0700);
  EXPECT_THROW((void)SharedMemory::attach(names()), SystemError);
  ::rmdir(("/dev/shm/" + names()).c_str());
  ::mkfifo(("/dev/shm/" + names()).c_str(), 0600);
  EXPECT_THROW((void)SharedMemory::attach(names()), SystemError);
  remove_name(names());
  ASSERT_EQ(::symlink("/etc/passwd", ("/dev/shm/" + names()).c_str()), 0);
  EXPECT_THROW((void)SharedMemory::attach(names()), SystemError);
  EXPECT_THROW((void)SharedMemory::create(1, names()), StateError);
  remove_name(names());
}

TEST(SharedMemoryTest, MoreThanThereIsRoomForIsAnErrorAndLeavesNothing) {
  struct statvfs room {};
  ASSERT_EQ(::statvfs("/dev/shm", &room), 0);
  const NameSpace names("room");
  std::vector<std::size_t> sizes{std::numeric_limits<std::size_t>::max(), std::size_t{1} << 62};
  if (room.f_blocks != 0) sizes.push_back((room.f_blocks + 1) * room.f_frsize);
  for (const std::size_t size : sizes) {
    try {
      (void)SharedMemory::create(size, names());
      ADD_FAILURE() << size;
    } catch (const SystemError& error) {
      EXPECT_EQ(error.code(), ENOSPC);
      EXPECT_TRUE(has(error.what(), std::to_string(size))) << error.what();
    }
    EXPECT_EQ(names.count(), 0u);
  }
  const auto block = SharedMemory::create(1, names());
  block.unlink();
}

TEST(SharedMemoryTest, CopiesAreOneBlockAndAttachingIsAnotherHandle) {
  const NameSpace names("copies");
  const auto block = SharedMemory::create(100, names());
  SharedMemory copy = block;
  EXPECT_EQ(copy.buffer().data(), block.buffer().data());
  const auto other = SharedMemory::attach(names());
  EXPECT_NE(other.buffer().data(), block.buffer().data());
  std::strcpy(text_of(block), "seen");
  EXPECT_STREQ(text_of(other), "seen");
  copy.close();
  copy.close();
  EXPECT_TRUE(has(error_of<StateError>([&] { (void)block.buffer(); }), "closed"));
  EXPECT_EQ(block.name(), names());
  EXPECT_EQ(block.size(), 100u);
  EXPECT_STREQ(text_of(other), "seen");
  copy = other;
  EXPECT_STREQ(text_of(copy), "seen");
  block.unlink();
  EXPECT_STREQ(text_of(copy), "seen");
}

TEST(SharedMemoryTest, AnEmptyHandleSaysSo) {
  SharedMemory empty;
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_THROW((void)empty.buffer(), StateError);
    EXPECT_THROW((void)empty.name(), StateError);
    EXPECT_THROW((void)empty.size(), StateError);
    EXPECT_THROW(empty.close(), StateError);
    EXPECT_THROW(empty.unlink(), StateError);
    empty = SharedMemory::create(1);
    empty.unlink();
    const SharedMemory moved = std::move(empty);
    EXPECT_EQ(moved.size(), 1u);
  }
}

TEST(SharedMemoryTest, UnlinkRemovesItsOwnNameAndOnce) {
  const NameSpace names("unlink");
  const auto block = SharedMemory::create(100, names());
  const auto other = SharedMemory::attach(names());
  block.close();
  block.unlink();
  EXPECT_FALSE(is_there(names()));
  EXPECT_TRUE(has(error_of<StateError>([&] { block.unlink(); }), names()));
  EXPECT_THROW(other.unlink(), StateError);
  const auto second = SharedMemory::create(50, names());
  EXPECT_THROW(block.unlink(), StateError);
  EXPECT_TRUE(is_there(names()));
  other.buffer()[0] = std::byte{1};
  EXPECT_EQ(second.buffer()[0], std::byte{0});
  SharedMemory::attach(names()).unlink();  // any handle can
  EXPECT_THROW(second.unlink(), StateError);
}

TEST(SharedMemoryTest, NothingIsLeftOfManyInThisProcess) {
  const NameSpace names("many");
  const auto use = [&] {
    for (int i = 0; i < 100; ++i) {
      const auto block = SharedMemory::create(10'000, names[i]);
      block.unlink();
    }
  };
  use();
  const auto before = memory_stats();
  for (int i = 0; i < 10; ++i) use();
  EXPECT_LT(memory_stats().in_use, before.in_use + 100'000);
  EXPECT_EQ(names.count(), 0u);
}

TEST(SharedMemoryTest, AThousandAtOnce) {
  const NameSpace names("thousand");
  {
    std::vector<SharedMemory> blocks;
    for (int i = 0; i < 1000; ++i) blocks.push_back(SharedMemory::create(4096, names[i]));
    for (int i = 0; i < 1000; ++i) blocks[static_cast<std::size_t>(i)].buffer()[0] = std::byte(i);
  }
  EXPECT_EQ(names.count(), 1000u);  // names stay when the handles go
  for (int i = 0; i < 1000; ++i) {
    const auto block = SharedMemory::attach(names[i]);
    EXPECT_EQ(block.buffer()[0], std::byte(i));
    block.unlink();
  }
  EXPECT_EQ(names.count(), 0u);
}

TEST(SharedMemoryTest, ThreadsUseOneHandle) {
  const NameSpace names("threads");
  const auto block = SharedMemory::create(8, names());
  const Queue<SharedMemory> queue;
  queue.put(block);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        const SharedMemory copy = block;
        auto* number = reinterpret_cast<long*>(copy.buffer().data());
        std::atomic_ref<long>(*number).fetch_add(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(*reinterpret_cast<long*>(queue.get().buffer().data()), 4000);
  block.unlink();
}

}  // namespace
}  // namespace procession
