#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fixture.hpp"
#include "support/supervisor.hpp"

int main(int argc, char** argv) {
  procession::test_support::run_supervised(argc, argv);
  ::testing::InitGoogleMock(&argc, argv);
  procession::test_support::check_every_test();
  return RUN_ALL_TESTS();
}
