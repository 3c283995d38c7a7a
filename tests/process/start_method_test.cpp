// Which method is the default, and what becomes of a fork server that dies.

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

TEST(ProcessStartMethod, IsTheForkServerUnlessSet) { expect_scenario({"default_method"}); }

TEST(ProcessStartMethod, CanBeSetOnce) { expect_scenario({"set_method_once"}); }

TEST(ProcessStartMethod, CannotBeSetAfterItsUse) { expect_scenario({"set_method_after_use"}); }

TEST(ProcessStartMethod, CanBeForced) { expect_scenario({"force_method"}); }

TEST(ProcessStartMethod, OfOneProcessIsNotTheDefault) { expect_scenario({"method_of_one"}); }

TEST(ProcessStartMethod, ThereAreThree) {
  EXPECT_THAT(get_all_start_methods(),
              ::testing::UnorderedElementsAre(StartMethod::Fork, StartMethod::ForkServer,
                                              StartMethod::Spawn));
  EXPECT_EQ(get_all_start_methods().front(), StartMethod::ForkServer);
}

TEST(ProcessForkServer, IsMadeAgainWhenItWasKilled) { expect_scenario({"server_killed"}); }

TEST(ProcessForkServer, ItsDeathDoesNotTouchItsChildren) {
  expect_scenario({"server_killed_beside_children"});
}

TEST(ProcessForkServer, MayBeKilledAllTheTime) { expect_scenario({"server_killed_often"}); }

TEST(ProcessForkServer, IsOneForSeveralThreads) { expect_scenario({"one_server"}); }

}  // namespace
}  // namespace procession::process_test
