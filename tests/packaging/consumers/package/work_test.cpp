// main() comes out of the gtest_main archive.
#include <gtest/gtest.h>

#include "work.hpp"

TEST(ConsumerTest, ItsMainIsWrappedWhereverItComesFrom) { EXPECT_EQ(exit_code_of_a_process(7), 7); }
