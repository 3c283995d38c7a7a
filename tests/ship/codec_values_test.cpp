// Every type of the standard library that API.md lists, through a message and back.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bitset>
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <memory_resource>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "ship/round_trip.hpp"

namespace procession::detail {
namespace {

template <class T>
void expect_same(const T& value) {
  EXPECT_TRUE(round_trip(value) == value) << type_name<T>();
}

template <class T>
bool property() {
  return rc::check(std::string(type_name<T>()),
                   [](const T& value) { RC_ASSERT(round_trip(value) == value); });
}

TEST(CodecValues, NumbersAndEnumsArriveUnchanged) {
  enum class Colour : std::uint8_t { Red, Green };
  expect_same(true);
  expect_same('x');
  expect_same(std::numeric_limits<long>::min());
  expect_same(1.5L);
  __extension__ using Wide = __int128;
  expect_same(static_cast<Wide>(-7));
  expect_same(Colour::Green);
  expect_same(nullptr);
  EXPECT_TRUE(property<double>());
}

TEST(CodecValues, StringsOfEveryCharacterAndLengthArrive) {
  EXPECT_TRUE(property<std::string>());
  expect_same(std::wstring(L"wide"));
  expect_same(std::u16string(u"sixteen"));
  expect_same(std::u32string(U"thirty-two"));
  expect_same(std::string("zero\0inside", 11));
  expect_same(std::string(100'000, 'x'));
  expect_same(std::pmr::string("polymorphic allocator"));
}

TEST(CodecValues, SequencesArriveInOrder) {
  EXPECT_TRUE(property<std::vector<int>>());
  EXPECT_TRUE((property<std::vector<std::vector<std::string>>>()));
  EXPECT_TRUE(property<std::deque<std::string>>());
  EXPECT_TRUE(property<std::list<long>>());
  EXPECT_TRUE((property<std::array<std::string, 3>>()));
  expect_same(std::forward_list<std::string>{"a", "b", "c"});
  expect_same(std::array<int, 0>{});
  expect_same(std::array<std::string, 100>{});
}

TEST(CodecValues, EmptyContainersArriveEmpty) {
  expect_same(std::vector<int>());
  expect_same(std::vector<std::string>());
  expect_same(std::vector<bool>());
  expect_same(std::string());
  expect_same(std::map<int, int>());
  expect_same(std::forward_list<int>());
  expect_same(std::tuple<>());
}

TEST(CodecValues, BitsOfVectorBoolArrive) {
  EXPECT_TRUE(property<std::vector<bool>>());
  expect_same(std::vector<bool>(8, true));
  expect_same(std::vector<bool>(9, true));
  expect_same(std::bitset<130>("1011"));
}

TEST(CodecValues, MapsAndSetsArriveWithEveryEntry) {
  EXPECT_TRUE((property<std::map<std::string, std::vector<int>>>()));
  EXPECT_TRUE((property<std::multimap<int, std::string>>()));
  EXPECT_TRUE((property<std::unordered_map<std::string, int>>()));
  EXPECT_TRUE((property<std::unordered_multimap<int, int>>()));
  EXPECT_TRUE(property<std::set<std::string>>());
  EXPECT_TRUE(property<std::multiset<int>>());
  EXPECT_TRUE(property<std::unordered_set<std::string>>());
  EXPECT_TRUE(property<std::unordered_multiset<int>>());
  expect_same(std::map<int, int, std::greater<>>{{1, 2}, {3, 4}});
}

TEST(CodecValues, EqualKeysOfAMultimapKeepTheirOrder) {
  const std::multimap<int, std::string> map{{1, "first"}, {1, "second"}, {1, "third"}};
  const auto copy = round_trip(map);
  EXPECT_TRUE(std::equal(map.begin(), map.end(), copy.begin(), copy.end()));
}

TEST(CodecValues, TuplesOptionalsAndVariantsArrive) {
  using Variant = std::variant<std::monostate, int, std::string, std::vector<int>>;
  EXPECT_TRUE((property<std::tuple<int, std::string, std::vector<char>>>()));
  EXPECT_TRUE((property<std::pair<std::string, double>>()));
  expect_same(std::pair<const int, std::string>(1, "x"));
  expect_same(std::optional<std::string>());
  expect_same(std::optional<std::string>("here"));
  expect_same(std::optional<int>(3));
  expect_same(std::optional<std::optional<std::string>>(std::optional<std::string>()));
  expect_same(Variant());
  expect_same(Variant("text"));
  expect_same(Variant(std::vector<int>{1, 2}));
  expect_same(std::variant<int, double>(2.5));
  expect_same(std::tuple<std::tuple<std::string>>(std::tuple<std::string>("nested")));
}

TEST(CodecValues, TimesNumbersAndPathsArrive) {
  expect_same(std::chrono::nanoseconds(5));
  expect_same(std::chrono::duration<double>(0.25));
  expect_same(std::chrono::system_clock::now());
  expect_same(std::chrono::steady_clock::now());
  expect_same(std::chrono::year_month_day(std::chrono::year(2024), std::chrono::month(2),
                                          std::chrono::day(29)));
  expect_same(std::complex<double>(1, -1));
  expect_same(std::filesystem::path("/a/b.txt"));
  expect_same(std::vector<std::filesystem::path>{"a", "", "/"});
}

TEST(CodecValues, ErrorCodesKeepTheirCategory) {
  expect_same(std::make_error_code(std::errc::no_such_file_or_directory));
  expect_same(std::error_code(5, std::system_category()));
  expect_same(std::make_error_code(std::future_errc::no_state));
  expect_same(std::make_error_condition(std::errc::timed_out));
}

TEST(CodecValues, ACategoryOfTheProgramIsTheSameObject) {
  struct Category : std::error_category {
    const char* name() const noexcept override { return "mine"; }
    std::string message(int) const override { return "message"; }
  };
  static const Category category;
  const std::error_code code(7, category);
  EXPECT_EQ(&round_trip(code).category(), &category);
}

TEST(CodecValues, UniquePointersArriveWithWhatTheyOwn) {
  EXPECT_EQ(*round_trip(std::make_unique<std::string>("owned")), "owned");
  EXPECT_EQ(round_trip(std::unique_ptr<int>()), nullptr);
  EXPECT_EQ(*round_trip(std::unique_ptr<const int>(new int(3))), 3);
  std::vector<std::unique_ptr<int>> pointers;
  pointers.push_back(std::make_unique<int>(1));
  pointers.push_back(nullptr);
  const auto copy = round_trip(pointers);
  ASSERT_EQ(copy.size(), 2U);
  EXPECT_EQ(*copy[0], 1);
  EXPECT_EQ(copy[1], nullptr);
  std::map<int, std::unique_ptr<std::string>> map;
  map.emplace(1, std::make_unique<std::string>("one"));
  EXPECT_EQ(*round_trip(map).at(1), "one");
}

TEST(CodecValues, SharedPointersToOneObjectStillShareIt) {
  const auto one = std::make_shared<std::string>("shared");
  const auto other = std::make_shared<std::string>("shared");
  const auto copy = round_trip(std::vector{one, other, one, std::shared_ptr<std::string>()});
  EXPECT_EQ(*copy[0], "shared");
  EXPECT_EQ(copy[0], copy[2]);
  EXPECT_NE(copy[0], copy[1]);
  EXPECT_EQ(copy[3], nullptr);
  EXPECT_EQ(copy[0].use_count(), 2);
}

TEST(CodecValues, SharedPointersToAnObjectAndItsFirstMemberAreTwoObjects) {
  struct Outer {
    std::string first;
    int second;
  };
  const auto outer = std::make_shared<Outer>(Outer{"first", 2});
  const std::shared_ptr<std::string> inner(outer, &outer->first);
  const auto [a, b] = round_trip(std::pair(inner, outer));
  EXPECT_EQ(*a, "first");
  EXPECT_EQ(b->first, "first");
  EXPECT_EQ(b->second, 2);
}

TEST(CodecValues, NestedSharedPointersKeepTheirNumbers) {
  struct Node {
    int value;
    std::shared_ptr<Node> left, right;
  };
  const auto leaf = std::make_shared<Node>(Node{1, nullptr, nullptr});
  const auto root = std::make_shared<Node>(Node{2, leaf, leaf});
  const auto copy = round_trip(root);
  EXPECT_EQ(copy->left, copy->right);
  EXPECT_EQ(copy->left->value, 1);
  root->left = root;
  EXPECT_THROW(round_trip(root), NotShippable);
  root->left.reset();
}

struct Base {
  virtual ~Base() = default;
  int value = 1;
  void serialize(auto& archive) { archive(value); }
};
struct Derived : Base {
  int more = 2;
};

TEST(CodecValues, AnObjectOfADerivedClassIsRefusedNotSliced) {
  EXPECT_EQ(round_trip(std::make_unique<Base>())->value, 1);
  EXPECT_THROW(round_trip(std::unique_ptr<Base>(new Derived)), NotShippable);
  EXPECT_THROW(round_trip(std::shared_ptr<Base>(new Derived)), NotShippable);
}

TEST(CodecValues, ALargeVectorArrivesWhole) {
  std::vector<long> values(1 << 20);
  std::iota(values.begin(), values.end(), 0L);
  expect_same(values);
  expect_same(std::pair(values, std::string("behind it")));
}

TEST(CodecValues, ContiguousElementsLieAlignedInTheMessage) {
  const Message message = encoded(std::pair<char, std::vector<double>>('x', {1, 2, 3}));
  const auto* bytes = static_cast<const std::byte*>(message.block.get());
  double last = 0;
  std::memcpy(&last, bytes + message.size - sizeof last, sizeof last);
  EXPECT_EQ(last, 3);
  EXPECT_EQ((message.size - 3 * sizeof(double)) % alignof(double), 0U);
}

TEST(CodecValues, OverAlignedTypesArrive) {
  struct alignas(64) Line {
    int value;
    bool operator==(const Line&) const = default;
  };
  expect_same(Line{1});
  expect_same(std::vector<Line>{{1}, {2}, {3}});
}

struct Throws {
  Throws() = default;
  Throws(const Throws&) { throw 1; }
  Throws& operator=(const Throws&) = default;
  std::string text;
  void serialize(auto& archive) { archive(text); }
};

TEST(CodecValues, AVariantThatLostItsValueIsRefused) {
  std::variant<int, Throws> variant(1);
  try {
    variant.emplace<Throws>(Throws());
  } catch (int) {
  }
  ASSERT_TRUE(variant.valueless_by_exception());
  Writer writer("Test::send");
  EXPECT_THROW(encode(writer, variant), NotShippable);
}

int add(int a, int b) { return a + b; }

TEST(CodecValues, FunctionPointersAreValues) {
  using Function = int (*)(int, int);
  EXPECT_EQ(round_trip(Function(&add)), &add);
  EXPECT_EQ(round_trip(Function(nullptr)), nullptr);
  const std::map<std::string, Function> table{{"add", &add}};
  EXPECT_EQ(round_trip(table).at("add")(1, 2), 3);
}

}  // namespace
}  // namespace procession::detail
