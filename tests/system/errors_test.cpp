#include "system/errors.hpp"

#include <cerrno>
#include <string>

#include "procession/errors.hpp"
#include "system_test.hpp"

namespace procession::detail {
namespace {

using ErrorsTest = SystemTest;

TEST_F(ErrorsTest, MessageNamesTheAttemptTheReasonAndTheErrno) {
  try {
    throw_system_error(EACCES, "open /x");
  } catch (const SystemError& error) {
    EXPECT_STREQ(error.what(), "cannot open /x: Permission denied (EACCES)");
    EXPECT_EQ(error.code(), EACCES);
  }
}

TEST_F(ErrorsTest, IsAProcessErrorForCallersWhoCatchThat) {
  EXPECT_THROW(throw_system_error(EPERM, "do it"), ProcessError);
}

TEST_F(ErrorsTest, NumbersWithoutANameKeepTheirNumber) {
  EXPECT_EQ(error_name(ENOENT), "ENOENT");
  EXPECT_EQ(error_name(4711), "errno 4711");
  EXPECT_THROW(throw_system_error(4711, "do it"), SystemError);
}

TEST_F(ErrorsTest, DescriptorClosesOnceAndKeepsErrno) {
  Bytes bytes;
  Descriptor first(::dup(0));
  const int number = first.get();
  Descriptor second(std::move(first));
  EXPECT_FALSE(first);
  EXPECT_EQ(second.get(), number);
  second = Descriptor(::dup(0));
  errno = EXDEV;
  second.reset();
  EXPECT_EQ(errno, EXDEV);
  EXPECT_FALSE(second);
  Descriptor third(::dup(0));
  const int released = third.release();
  EXPECT_FALSE(third);
  EXPECT_EQ(::close(released), 0);
}

}  // namespace
}  // namespace procession::detail
