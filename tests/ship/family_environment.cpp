// The family memory is made before the first test, so that no test seems to leave it behind.
#include <gtest/gtest.h>

#include "memory/family.hpp"

namespace procession::detail {
namespace {

class FamilyEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { ensure_family(); }
};

[[maybe_unused]] const auto* const environment =
    ::testing::AddGlobalTestEnvironment(new FamilyEnvironment);

}  // namespace
}  // namespace procession::detail
