// Users' types: plain aggregates, and every way in which cereal lets a type be serialized.
#include <gtest/gtest.h>

#include <cereal/cereal.hpp>
#include <cereal/types/base_class.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/vector.hpp>

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "ship/round_trip.hpp"

namespace users {

struct Point {
  double x, y;
  bool operator==(const Point&) const = default;
};

struct Record {
  char code[4];
  std::string name;
  int id;
  std::vector<Point> points;
  std::optional<std::unique_ptr<int>> owned;
  std::string aliases[2][2];
  int grid[2][3];
};

struct Moved {
  std::unique_ptr<int> only;
  const std::string name;
};

struct Tree {
  int value;
  std::vector<Tree> children;
  std::map<std::string, Tree> named;
  bool operator==(const Tree&) const = default;
};

struct Defaults {
  std::string text = "default";
  int number = 7;
  std::vector<std::string> list = {"a", "b"};
};

struct Flags {
  unsigned read : 1, write : 1;
  unsigned long size : 60;
  bool operator==(const Flags&) const = default;
};

struct Base {
  int below = 0;
};
struct Extended : Base {
  int above = 0;
};

// Member serialize, private, with a private default constructor.
class Account {
 public:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}
  const std::string& owner() const { return owner_; }
  std::vector<int> bookings;

 private:
  friend class cereal::access;
  Account() = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(owner_), cereal::make_nvp("bookings", bookings));
  }
  std::string owner_;
};

// Member save and load.
class Cached {
 public:
  Cached() = default;
  explicit Cached(std::string text) : text_(std::move(text)), length_(text_.size()) {}
  std::size_t length() const { return length_; }
  template <class Archive>
  void save(Archive& archive) const {
    static_assert(Archive::is_saving::value && !Archive::is_loading::value);
    archive << text_;
  }
  template <class Archive>
  void load(Archive& archive) {
    archive >> text_;
    length_ = text_.size();
  }

 private:
  std::string text_;
  std::size_t length_ = 0;
};

// Free functions beside the type.
struct Free {
  explicit Free(int start = 0) : value(start) {}
  int value;
  mutable std::mutex mutex;                       // not movable
};
template <class Archive>
void serialize(Archive& archive, Free& free) {
  archive & free.value;
}

class FreeSplit {
 public:
  std::string text;
  FreeSplit() = default;
  explicit FreeSplit(std::string start) : text(std::move(start)) {}
};
template <class Archive>
void save(Archive& archive, const FreeSplit& value) {
  archive(value.text);
}
template <class Archive>
void load(Archive& archive, FreeSplit& value) {
  archive(value.text);
}

struct Versioned {
  int value = 0;
  std::uint32_t seen = 0;
  template <class Archive>
  void serialize(Archive& archive, const std::uint32_t version) {
    archive(value);
    seen = version;
  }
};

class Minimal {
 public:
  Minimal() = default;
  explicit Minimal(int number) : text_(std::to_string(number)) {}
  const std::string& text() const { return text_; }
  template <class Archive>
  int save_minimal(const Archive&) const {
    return std::stoi(text_);
  }
  template <class Archive>
  void load_minimal(const Archive&, const int& number) {
    text_ = std::to_string(number);
  }

 private:
  std::string text_;
};

struct Outside {
  int value = 0;
};

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
  std::string label;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(label);
  }
};
struct Square : Shape {
  double side = 0;
  double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<Shape>(this), side);
  }
};
struct Tagged : virtual Base {
  int tag = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::virtual_base_class<Base>(this), tag);
  }
};

// Serialized by hand with cereal's wrappers.
class Buffer {
 public:
  std::vector<float> data;
  template <class Archive>
  void save(Archive& archive) const {
    archive(cereal::make_size_tag(static_cast<cereal::size_type>(data.size())));
    archive(cereal::binary_data(data.data(), data.size() * sizeof(float)));
  }
  template <class Archive>
  void load(Archive& archive) {
    cereal::size_type size = 0;
    archive(cereal::make_size_tag(size));
    data.resize(size);
    archive(cereal::binary_data(data.data(), size * sizeof(float)));
  }
};

struct Throwing {
  int value = 0;
  template <class Archive>
  void serialize(Archive&) {
    throw std::domain_error("no");
  }
};

struct Silent {
  template <class Archive>
  void serialize(Archive&) {}
};

struct Inherits : FreeSplit {
  int more = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text, more);
  }
};

}  // namespace users

namespace cereal {
template <class Archive>
void serialize(Archive& archive, users::Outside& outside) {
  archive(outside.value);
}
template <class Archive>
struct specialize<Archive, users::Inherits, specialization::member_serialize> : std::true_type {};
}  // namespace cereal
CEREAL_CLASS_VERSION(users::Versioned, 3)

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
