#include "support/fixture.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <optional>

namespace procession::test_support {
namespace {

class LeftoverListener : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override {
    std::fflush(nullptr);
    before_ = Snapshot::take();
  }

  // Runs before the printer's turn, so that the failure belongs to this test.
  void OnTestEnd(const ::testing::TestInfo&) override {
    for (const std::string& leftover : before_->leftovers(true)) ADD_FAILURE() << leftover;
    before_.reset();
  }

  std::optional<Snapshot> before_;
};

}  // namespace

void LeavesNothing::expect_nothing_left() const {
  for (const std::string& leftover : before_.leftovers()) ADD_FAILURE() << leftover;
}

std::string unique_name(const std::string& what) {
  static std::atomic<unsigned> count{0};
  return "procession-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + "-" +
         what;
}

void check_every_test() {
  ::testing::UnitTest::GetInstance()->listeners().Append(new LeftoverListener);
}

}  // namespace procession::test_support
