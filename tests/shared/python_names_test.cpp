// Named blocks against the multiprocessing.shared_memory of the python3 on this machine.
#include <stdlib.h>

#include <cstring>
#include <string>

#include "procession/errors.hpp"
#include "procession/shared_memory.hpp"
#include "shared/shared_family.hpp"

namespace procession::shared_test {
namespace {

using test_support::ChildStatus;

// The lines of shared_helper.
constexpr const char* program = R"(
import sys
from multiprocessing import shared_memory, resource_tracker
blocks = {}
def obey(what, name=None, more=None):
    if what == 'create':
        blocks[name] = shared_memory.SharedMemory(name, create=True, size=int(more))
    elif what == 'attach':
        blocks[name] = shared_memory.SharedMemory(name)
        resource_tracker.unregister(blocks[name]._name, 'shared_memory')
        return 'ok %d' % blocks[name].size
    elif what == 'unlink':
        blocks[name].unlink()
    elif what == 'unlink_attached':
        resource_tracker.register(blocks[name]._name, 'shared_memory')
        blocks[name].unlink()
    elif what == 'write':
        blocks[name].buf[:len(more) + 1] = more.encode() + b'\0'
    elif what == 'read':
        return bytes(blocks[name].buf).split(b'\0')[0].decode()
    else:
        return 'what?'
    return 'ok'
for line in iter(sys.stdin.readline, ''):
    try:
        print(obey(*line.split()), flush=True)
    except Exception as error:
        print('error', type(error).__name__, flush=True)
)";

class PythonNames : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::system("python3 -c 'import multiprocessing.shared_memory' >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "there is no python3 with multiprocessing.shared_memory";
    }
  }
  static std::vector<std::string> command() { return {"python3", "-c", program}; }
};

char* text_of(const SharedMemory& block) { return reinterpret_cast<char*>(block.buffer().data()); }

TEST_F(PythonNames, PythonAttachesToOurs) {
  const NameSpace names("ours");
  const auto block = SharedMemory::create(5000, names());
  std::strcpy(text_of(block), "from-here");
  {
    Family python(command());
    EXPECT_EQ(python("create " + names() + " 10"), "error FileExistsError");
    EXPECT_EQ(python("attach " + names()), "ok 5000");
    EXPECT_EQ(python("read " + names()), "from-here");
    EXPECT_EQ(python("write " + names() + " from-python"), "ok");
    EXPECT_EQ(python.end(), (ChildStatus{0, 0}));
  }
  EXPECT_STREQ(text_of(block), "from-python");
  EXPECT_TRUE(is_there(names()));
  block.unlink();
  Family python(command());
  EXPECT_EQ(python("attach " + names()), "error FileNotFoundError");
}

TEST_F(PythonNames, WeAttachToPythons) {
  const NameSpace names("theirs");
  Family python(command());
  EXPECT_EQ(python("create " + names() + " 5000"), "ok");
  EXPECT_THROW((void)SharedMemory::create(10, names()), StateError);
  const auto block = SharedMemory::attach(names());
  EXPECT_EQ(block.size(), 5000u);
  std::strcpy(text_of(block), "from-here");
  EXPECT_EQ(python("read " + names()), "from-here");
  EXPECT_EQ(python("write " + names() + " from-python"), "ok");
  EXPECT_STREQ(text_of(block), "from-python");
  EXPECT_EQ(python("unlink " + names()), "ok");
  EXPECT_THROW(block.unlink(), StateError);
  EXPECT_STREQ(text_of(block), "from-python");
}

TEST_F(PythonNames, WhatPythonUnlinksIsGoneHere) {
  const NameSpace names("both");
  const auto block = SharedMemory::create(100, names());
  Family python(command());
  EXPECT_EQ(python("attach " + names()), "ok 100");
  EXPECT_EQ(python("unlink_attached " + names()), "ok");
  EXPECT_FALSE(is_there(names()));
  EXPECT_THROW(block.unlink(), StateError);
  const auto again = SharedMemory::create(200, names());
  again.unlink();
}

}  // namespace
}  // namespace procession::shared_test
