// Users' types through a message and back; user_types.hpp has them.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "ship/round_trip.hpp"
#include "ship/user_types.hpp"

namespace procession::detail {
namespace {

TEST(CodecUserTypes, APlainAggregateNeedsNoCode) {
  static_assert(field_count<users::Record> == 7);
  users::Record record{{'a', 'b', 'c', 0}, "name", 5, {{1, 2}, {3, 4}}, {}, {}, {}};
  record.owned.emplace(std::make_unique<int>(9));
  record.aliases[1][0] = "alias";
  record.grid[1][2] = 6;
  const auto copy = round_trip(record);
  EXPECT_STREQ(copy.code, "abc");
  EXPECT_EQ(copy.name, "name");
  EXPECT_EQ(copy.id, 5);
  EXPECT_EQ(copy.points, record.points);
  EXPECT_EQ(**copy.owned, 9);
  EXPECT_EQ(copy.aliases[1][0], "alias");
  EXPECT_EQ(copy.grid[1][2], 6);
}

TEST(CodecUserTypes, MoveOnlyAndConstMembersArrive) {
  const auto copy = round_trip(users::Moved{std::make_unique<int>(3), "name"});
  EXPECT_EQ(*copy.only, 3);
  EXPECT_EQ(copy.name, "name");
}

TEST(CodecUserTypes, ARecursiveAggregateArrives) {
  const users::Tree tree{1, {{2, {}, {}}, {3, {{4, {}, {}}}, {}}}, {{"five", {5, {}, {}}}}};
  EXPECT_EQ(round_trip(tree), tree);
}

TEST(CodecUserTypes, AnEmptyMemberIsNotReplacedByItsDefault) {
  const auto copy = round_trip(users::Defaults{"", 0, {}});
  EXPECT_EQ(copy.text, "");
  EXPECT_EQ(copy.number, 0);
  EXPECT_TRUE(copy.list.empty());
}

TEST(CodecUserTypes, BitFieldsAndBasesOfTriviallyCopyableTypesArrive) {
  const users::Flags flags{1, 0, 1UL << 59};
  EXPECT_EQ(round_trip(flags), flags);
  users::Extended extended;
  extended.below = 1;
  extended.above = 2;
  EXPECT_EQ(round_trip(extended).below, 1);
  EXPECT_EQ(round_trip(extended).above, 2);
}

TEST(CodecUserTypes, PrivateSerializeAndConstructorAreReachedThroughAccess) {
  users::Account account("owner");
  account.bookings = {1, -2};
  const auto copy = round_trip(account);
  EXPECT_EQ(copy.owner(), "owner");
  EXPECT_EQ(copy.bookings, account.bookings);
  EXPECT_EQ(round_trip(std::vector{account, account})[1].owner(), "owner");
}

TEST(CodecUserTypes, SaveAndLoadAreCalledAsAPair) {
  EXPECT_EQ(round_trip(users::Cached("12345")).length(), 5U);
  EXPECT_EQ(round_trip(users::FreeSplit("text")).text, "text");
}

TEST(CodecUserTypes, ATypeThatCannotMoveTravelsInAPointer) {
  EXPECT_EQ(round_trip(std::make_unique<users::Free>(4))->value, 4);
  EXPECT_EQ(round_trip(std::make_shared<users::Free>(5))->value, 5);
}

TEST(CodecUserTypes, TheVersionIsHandedToLoad) {
  users::Versioned versioned;
  versioned.value = 1;
  EXPECT_EQ(round_trip(versioned).seen, 3U);
  EXPECT_EQ(round_trip(versioned).value, 1);
}

TEST(CodecUserTypes, MinimalFunctionsAreUsed) {
  EXPECT_EQ(round_trip(users::Minimal(42)).text(), "42");
}

TEST(CodecUserTypes, FunctionsInNamespaceCerealAreFound) {
  static_assert(shape_of<users::Outside> == procession::detail::Shape::Serialize);
  EXPECT_EQ(round_trip(users::Outside{6}).value, 6);
}

TEST(CodecUserTypes, BaseClassesAreSerializedByTheirOwnFunction) {
  users::Square square;
  square.label = "square";
  square.side = 3;
  const auto copy = round_trip(square);
  EXPECT_EQ(copy.label, "square");
  EXPECT_EQ(copy.area(), 9);
  users::Tagged tagged;
  tagged.below = 1;
  tagged.tag = 2;
  EXPECT_EQ(round_trip(tagged).below, 1);
  EXPECT_EQ(round_trip(tagged).tag, 2);
}

TEST(CodecUserTypes, SizeTagsAndBinaryDataAreUnderstood) {
  users::Buffer buffer;
  buffer.data = {1.5F, -2.5F};
  EXPECT_EQ(round_trip(buffer).data, buffer.data);
}

TEST(CodecUserTypes, WhatSerializeThrowsReachesTheCaller) {
  Writer writer("Test::send");
  EXPECT_THROW(encode(writer, users::Throwing()), std::domain_error);
  EXPECT_THROW(encode(writer, std::vector<users::Throwing>(2)), std::domain_error);
}

TEST(CodecUserTypes, ElementsThatWriteNothingAreCounted) {
  EXPECT_EQ(round_trip(std::vector<users::Silent>(1000)).size(), 1000U);
  EXPECT_EQ(round_trip(std::vector<std::tuple<>>(10)).size(), 10U);
}

TEST(CodecUserTypes, SpecializeChoosesAmongSeveralWays) {
  users::Inherits value;
  value.text = "text";
  value.more = 1;
  EXPECT_EQ(round_trip(value).text, "text");
  EXPECT_EQ(round_trip(value).more, 1);
}

TEST(CodecUserTypes, AlternativesOfUserTypesArrive) {
  using Variant = std::variant<users::Point, users::Cached, users::Tree>;
  EXPECT_EQ(std::get<1>(round_trip(Variant(users::Cached("four")))).length(), 4U);
}

// A serialize() that itself sends something.
struct Nested {
  std::string text;
  std::string inner;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text);
    if constexpr (Archive::is_saving::value) inner = round_trip(text + " inside");
    archive(inner);
  }
};

TEST(CodecUserTypes, AMessageMadeWhileAnotherIsMadeHasItsOwnBuffer) {
  const auto copy = round_trip(Nested{"text", ""});
  EXPECT_EQ(copy.text, "text");
  EXPECT_EQ(copy.inner, "text inside");
}

}  // namespace
}  // namespace procession::detail
