// Everything a test of Procession needs beside GoogleTest.
//
// Every test of every program is checked, whatever its fixture: after it, no process, no
// descriptor, no shared memory and no temporary file may be there that was not there before it. The
// check comes after TearDown() and after the fixture's destructor.
//
// Example:
//   TEST(LockTest, ADeadHolderIsNoticed) { ... }        // checked
//   class PoolTest : public LeavesNothing {};
//   TEST_F(PoolTest, KilledWorkersAreReplaced) {
//     { Pool pool(2); ... }
//     expect_nothing_left();                            // and here, in the middle of a test
//   }
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/child.hpp"
#include "support/leftovers.hpp"

namespace procession::test_support {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

class LeavesNothing : public ::testing::Test {
 protected:
  // A failure for each thing that has appeared since the fixture was constructed.
  void expect_nothing_left() const;

 private:
  Snapshot before_ = Snapshot::take();
};

// A name for shared memory, sockets or files that no other process uses, starting with
// "procession-test-"; `what` only makes it readable.
std::string unique_name(const std::string& what);

// Adds the check after every test. main() does it.
void check_every_test();

}  // namespace procession::test_support
