// When names go: with the family that made them, however that ends, and not before.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "procession/shared_memory.hpp"
#include "shared/shared_family.hpp"

namespace procession::shared_test {
namespace {

using test_support::ChildStatus;

class FamilyEnd : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Methods, FamilyEnd, ::testing::Values("Fork", "ForkServer", "Spawn"),
                         [](const auto& test) { return test.param; });

// The keeper ends after it has removed the names.
class KeeperEnd {
 public:
  explicit KeeperEnd(Family& family) : ending_(family.number("keeper")) {}
  bool comes() const { return ending_.ends(); }

 private:
  Ending ending_;
};

TEST(SharedNames, GoWithAnOrderlyEnd) {
  const NameSpace names("orderly");
  const ShmWatch shm;
  Family family;
  EXPECT_EQ(family("create " + names[0] + " 100"), "ok");
  EXPECT_EQ(family("create " + names[1] + " 100"), "ok");
  EXPECT_EQ(family("unlink " + names[1]), "ok");
  EXPECT_EQ(names.count(), 1u);
  const KeeperEnd keeper(family);
  EXPECT_EQ(family.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(shm.gone(names[0]));
  EXPECT_TRUE(keeper.comes());
}

TEST(SharedNames, GoWhenTheOnlyProcessIsKilled) {
  const NameSpace names("killed");
  const ShmWatch shm;
  Family family;
  EXPECT_EQ(family("create " + names() + " 100"), "ok");
  const KeeperEnd keeper(family);
  family.kill();
  EXPECT_EQ(family.wait().signal, SIGKILL);
  EXPECT_TRUE(shm.gone(names()));
  EXPECT_TRUE(keeper.comes());
}

TEST_P(FamilyEnd, AllKilledAtOnce) {
  const NameSpace names("at-once");
  const ShmWatch shm;
  Family family;
  EXPECT_EQ(family("create " + names[0] + " 100"), "ok");
  const Ending child(family.number("child " + GetParam() + " " + names[1]));
  const Ending grandchild(family.number("grandchild " + GetParam() + " " + names[2]));
  EXPECT_EQ(names.count(), 3u);
  const KeeperEnd keeper(family);
  family.kill();
  EXPECT_EQ(family.wait().signal, SIGKILL);
  EXPECT_TRUE(child.ends());
  EXPECT_TRUE(grandchild.ends());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(shm.gone(names[i]));
  EXPECT_TRUE(keeper.comes());
}

// The root's end is not the family's. The keeper is killed after it, too.
TEST_P(FamilyEnd, AnHeirOfTheRootKeepsTheNames) {
  const NameSpace names("heir");
  const std::string fifo = std::filesystem::temp_directory_path() / names("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int gate = ::open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  for (const bool kill_keeper : {false, true}) {
    const ShmWatch shm;
    Family family;
    EXPECT_EQ(family("create " + names[0] + " 100"), "ok");
    const Ending heir(family.number("heir " + GetParam() + " " + names[1] + " " + fifo));
    const pid_t keeper = family.number("keeper");
    const Ending keeper_ends(keeper);
    ::kill(family.root(), SIGKILL);
    EXPECT_EQ(family.wait().signal, SIGKILL);
    if (kill_keeper) {
      ::kill(keeper, SIGKILL);
      EXPECT_TRUE(keeper_ends.ends());
    }
    EXPECT_EQ(SharedMemory::attach(names[0]).size(), 100u);
    EXPECT_TRUE(is_there(names[1]));
    ASSERT_EQ(::write(gate, "x", 1), 1);  // the heir reads it and ends
    EXPECT_TRUE(heir.ends());
    EXPECT_TRUE(shm.gone(names[0]));
    EXPECT_TRUE(shm.gone(names[1]));
    EXPECT_TRUE(keeper_ends.ends());
  }
  ::close(gate);
  ::unlink(fifo.c_str());
}

TEST(SharedNames, AttachersRemoveNothing) {
  const NameSpace names("attacher");
  const ShmWatch shm;
  Family owner;
  EXPECT_EQ(owner("create " + names() + " 100"), "ok");
  EXPECT_EQ(owner("write " + names() + " hello"), "ok");
  for (const bool killed : {false, true}) {
    Family attacher;
    EXPECT_EQ(attacher("attach " + names()), "ok");
    EXPECT_EQ(attacher("read " + names()), "hello");
    const KeeperEnd keeper(attacher);
    if (killed) {
      attacher.kill();
      EXPECT_EQ(attacher.wait().signal, SIGKILL);
    } else {
      EXPECT_EQ(attacher.end(), (ChildStatus{0, 0}));
    }
    EXPECT_TRUE(keeper.comes());  // all of that family is gone
    EXPECT_TRUE(is_there(names()));
  }
  EXPECT_EQ(owner("read " + names()), "hello");
  EXPECT_EQ(owner.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(shm.gone(names()));
}

TEST(SharedNames, TwoFamiliesEachRemoveTheirOwn) {
  const NameSpace names("two");
  const ShmWatch shm;
  Family one, two;
  EXPECT_EQ(one("create " + names[1] + " 100"), "ok");
  EXPECT_EQ(two("create " + names[2] + " 100"), "ok");
  EXPECT_EQ(two("create " + names[1] + " 100").substr(0, 5), "error");
  EXPECT_EQ(one("attach " + names[2]), "ok");
  EXPECT_EQ(two("attach " + names[1]), "ok");
  EXPECT_EQ(two("write " + names[1] + " across"), "ok");
  EXPECT_EQ(one("read " + names[1]), "across");
  const KeeperEnd keeper(one);
  one.kill();
  EXPECT_EQ(one.wait().signal, SIGKILL);
  EXPECT_TRUE(shm.gone(names[1]));
  EXPECT_TRUE(keeper.comes());
  EXPECT_TRUE(is_there(names[2]));
  EXPECT_EQ(two("read " + names[1]), "across");  // mapped, so it is there
  EXPECT_EQ(two.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(shm.gone(names[2]));
}

TEST(SharedNames, WhatWasUnlinkedByAnotherFamilyIsNotItsCreatorsAnyMore) {
  const NameSpace names("taken");
  const ShmWatch shm;
  Family first;
  EXPECT_EQ(first("create " + names() + " 100"), "ok");
  Family second;
  EXPECT_EQ(second("attach " + names()), "ok");
  EXPECT_EQ(second("unlink " + names()), "ok");
  EXPECT_EQ(second("create " + names() + " 200"), "ok");
  EXPECT_EQ(first("unlink " + names()).substr(0, 5), "error");
  const KeeperEnd keeper(first);
  first.kill();
  EXPECT_EQ(first.wait().signal, SIGKILL);
  EXPECT_TRUE(keeper.comes());
  EXPECT_EQ(SharedMemory::attach(names()).size(), 200u);
  EXPECT_EQ(second.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(shm.gone(names()));
}

TEST(SharedNames, AStrangersFileOfTheSameNameStays) {
  const NameSpace names("stranger");
  Family family;
  EXPECT_EQ(family("create " + names() + " 100"), "ok");
  remove_name(names());
  make_stranger(names(), "stranger");
  const KeeperEnd keeper(family);
  EXPECT_EQ(family.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(keeper.comes());
  EXPECT_EQ(read_stranger(names()), "stranger");
  remove_name(names());
}

TEST(SharedNames, AKilledKeeperIsReplacedAtTheEnd) {
  const NameSpace names("end");
  const ShmWatch shm;
  Family family;
  EXPECT_EQ(family("create " + names() + " 100"), "ok");
  family.kill_keeper();
  EXPECT_EQ(family("keeper"), "0");
  EXPECT_EQ(family.end(), (ChildStatus{0, 0}));
  EXPECT_TRUE(shm.gone(names()));
}

TEST(SharedNames, AKilledKeeperIsReplacedByTheNextCallOfEachKind) {
  const NameSpace names("next");
  for (const std::string& call :
       {"create " + names[2] + " 100", "attach " + names[0], "unlink " + names[1]}) {
    SCOPED_TRACE(call);
    const ShmWatch shm;
    Family family;
    EXPECT_EQ(family("create " + names[0] + " 100"), "ok");
    EXPECT_EQ(family("create " + names[1] + " 100"), "ok");
    family.kill_keeper();
    EXPECT_EQ(family(call), "ok");
    const KeeperEnd keeper(family);
    family.kill();
    EXPECT_EQ(family.wait().signal, SIGKILL);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(shm.gone(names[i]));
    EXPECT_TRUE(keeper.comes());
  }
}

// Killed while it makes one after the other, so in the middle of a call.
TEST(SharedNames, GoWhereverTheFamilyIsKilled) {
  const NameSpace names("churn");
  for (int i = 1; i <= 20; ++i) {
    Family family;
    EXPECT_EQ(family("create " + names() + " 100"), "ok");
    const KeeperEnd keeper(family);
    EXPECT_EQ(family("churn " + names()), "ok");
    for (int line = 0; line < i; ++line) EXPECT_EQ(family.answer(), "ok");
    family.kill();
    EXPECT_EQ(family.wait().signal, SIGKILL);
    EXPECT_TRUE(keeper.comes());
    EXPECT_EQ(names.count(), 0u) << "after " << i;
  }
}

TEST(SharedNames, AFullFolderIsAnErrorOfCreateAndNotOfLaterWrites) {
  Family family;
  if (family("small_shm") != "ok") GTEST_SKIP() << "mounting is not permitted";
  EXPECT_EQ(family("create first 600000"), "ok");
  const std::string error = family("create second 600000");
  EXPECT_TRUE(
      error.starts_with("error cannot make shared memory of 600000 bytes: /dev/shm has "
                        "room for 4"))
      << error;
  EXPECT_EQ(family("attach second").substr(0, 5), "error");
  EXPECT_EQ(family("create second 400000"), "ok");
  EXPECT_EQ(family("fill second"), "ok");
  EXPECT_EQ(family("unlink first"), "ok");
  EXPECT_EQ(family("drop first"), "ok");
  // What was dropped just now is there again.
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(family("create third 600000"), "ok");
    EXPECT_EQ(family("fill third"), "ok");
    EXPECT_EQ(family("unlink third"), "ok");
    EXPECT_EQ(family("drop third"), "ok");
  }
  EXPECT_EQ(family.end(), (ChildStatus{0, 0}));
}

TEST(SharedNames, AThousandGoToo) {
  const NameSpace names("thousand");
  const ShmWatch shm;
  Family family;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(family("create " + names[i] + " 1"), "ok");
  }
  EXPECT_EQ(names.count(), 1000u);
  const KeeperEnd keeper(family);
  family.kill();
  EXPECT_EQ(family.wait().signal, SIGKILL);
  EXPECT_TRUE(keeper.comes());
  EXPECT_EQ(names.count(), 0u);
}

}  // namespace
}  // namespace procession::shared_test
