#include "sync/thread_table.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <set>

#include "procession/errors.hpp"
#include "procession/lock.hpp"
#include "sync_test.hpp"

namespace procession {
namespace {

using namespace sync_test;

TEST(ThreadTableTest, SlotsOfEndedThreadsAreReusedAndIdentitiesAreNot) {
  std::set<std::uint32_t> slots;
  std::set<std::uint64_t> owners;
  bool reused = false;
  for (int i = 0; i < 5000 && !reused; ++i) {
    std::uint64_t owner = 0;
    Thread([&] { owner = detail::this_thread().owner; }).join();
    reused = !slots.insert(detail::Owner::from(owner).slot).second;
    EXPECT_TRUE(owners.insert(owner).second);
  }
  EXPECT_TRUE(reused);
}

TEST(ThreadTableTest, AForkBehindTheBackOfGlibcIsNoticed) {
  (void)detail::this_thread();
  Child child(::_Fork());
  if (child.pid() == 0) ::_exit(detail::fork_mark.load()->load() == 0 ? 0 : 1);
  EXPECT_EQ(child.wait(), (test_support::ChildStatus{0, 0}));
}

// However many threads come and go after it.
TEST(ThreadTableTest, WhoDiedWithALockIsRemembered) {
  const Lock lock;
  Child holder = child_that([&] { lock.acquire(); });
  const pid_t pid = holder.pid();
  holder.kill();
  holder.wait();
  for (int i = 0; i < 300; ++i) {
    Thread([] { Lock().acquire(); }).join();
    Thread([] { (void)detail::this_thread(); }).join();
  }
  try {
    lock.acquire();
    FAIL();
  } catch (const OwnerDied& death) {
    EXPECT_EQ(death.pid(), pid);
  }
}

}  // namespace
}  // namespace procession
