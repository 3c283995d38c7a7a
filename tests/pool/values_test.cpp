// apply: arguments and results of every shippable kind arrive as they were sent.

#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "pool/pool_fixture.hpp"

namespace procession::pool_test {
namespace {

// Out to a worker, and back.
template <class T>
T there_and_back(const Pool& pool, const T& value) {
  return pool.apply([](T arrived) { return arrived; }, value);
}

class PoolValues : public ::testing::Test {
 protected:
  template <class T>
  void expect_arrives(const T& value) {
    EXPECT_EQ(there_and_back(pool, value), value);
  }
  Pool pool{2};
};

enum class Colour : std::uint8_t { Red = 3, Blue = 200 };

TEST_F(PoolValues, NumbersAndEnums) {
  expect_arrives(std::numeric_limits<long long>::min());
  expect_arrives(true);
  expect_arrives('x');
  expect_arrives(1e300);
  expect_arrives(static_cast<long double>(0.1));
  expect_arrives(Colour::Blue);
}

TEST_F(PoolValues, TextsOfEverySize) {
  expect_arrives(std::string());
  expect_arrives(std::string("a\0b", 3));
  expect_arrives(std::string(3'000'000, 'z'));
}

TEST_F(PoolValues, Containers) {
  expect_arrives(std::map<std::string, std::vector<int>>{{"one", {1}}, {"none", {}}});
  expect_arrives(std::tuple<int, std::string, std::optional<double>>{1, "two", 3.0});
  expect_arrives(std::variant<int, std::string>{"text"});
  expect_arrives(std::vector<std::vector<std::string>>{{}, {"a", ""}});
}

struct Point {
  int x;
  double y;
  bool operator==(const Point&) const = default;
};
struct Drawing {
  std::string name;
  std::vector<Point> points;
  std::optional<Point> centre;
  bool operator==(const Drawing&) const = default;
};
struct Nothing {
  bool operator==(const Nothing&) const = default;
};

TEST_F(PoolValues, AggregatesNeedNoCode) {
  expect_arrives(Point{1, 2.5});
  expect_arrives(Drawing{"house", {{1, 2}, {3, 4}}, Point{0, 0}});
  expect_arrives(Nothing{});
}

class Account {
 public:
  Account() = default;
  Account(std::string owner, long balance) : owner_(std::move(owner)), balance_(balance) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner_, balance_);
  }
  bool operator==(const Account&) const = default;

 private:
  std::string owner_;
  long balance_ = 0;
};

class Celsius {
 public:
  explicit Celsius(double degrees = 0) : kelvin_(degrees + 273) {}
  template <class Archive>
  void save(Archive& archive) const {
    archive(kelvin_ - 273);
  }
  template <class Archive>
  void load(Archive& archive) {
    double degrees = 0;
    archive(degrees);
    kelvin_ = degrees + 273;
  }
  bool operator==(const Celsius&) const = default;

 private:
  double kelvin_;
};

TEST_F(PoolValues, TypesWithCerealFunctions) {
  expect_arrives(Account("ada", 12));
  expect_arrives(Celsius(20));
  expect_arrives(std::vector<Account>{{"a", 1}, {"b", 2}});
}

TEST_F(PoolValues, OwningPointers) {
  const auto shared = pool.apply(
      [](std::shared_ptr<std::string> text) {
        *text += "!";
        return text;
      },
      std::make_shared<std::string>("hi"));
  ASSERT_TRUE(shared);
  EXPECT_EQ(*shared, "hi!");
  const auto none = pool.apply([](std::unique_ptr<int> x) { return x; }, std::unique_ptr<int>());
  EXPECT_FALSE(none);
}

TEST_F(PoolValues, NoArgumentsAndNoResult) {
  static_assert(std::is_void_v<decltype(pool.apply([] {}))>);
  pool.apply([] {});
  EXPECT_NE(pool.apply(own_pid), own_pid());
  auto later = pool.apply_async([] {});
  later.get();
  EXPECT_TRUE(later.successful());
}

TEST_F(PoolValues, ManyArguments) {
  const auto text = pool.apply(
      [](int a, std::string b, char c, double d, std::vector<int> e, bool f) {
        return std::to_string(a) + b + c + std::to_string(static_cast<int>(d)) +
               std::to_string(e.size()) + (f ? "t" : "f");
      },
      1, "two", '3', 4.0, std::vector<int>{5, 5}, true);
  EXPECT_EQ(text, "1two342t");
}

TEST_F(PoolValues, ChangesOfAnArgumentStayInTheWorker) {
  std::vector<int> mine{1, 2, 3};
  EXPECT_EQ(pool.apply(
                [](std::vector<int> theirs) {
                  theirs.clear();
                  return theirs.size();
                },
                mine),
            0u);
  EXPECT_EQ(mine.size(), 3u);
}

TEST_F(PoolValues, SixtyFourMebibytesThereAndBack) {
  std::vector<unsigned char> big(std::size_t{64} << 20);
  std::iota(big.begin(), big.end(), static_cast<unsigned char>(1));
  const auto back = pool.apply(
      [](std::vector<unsigned char> there) {
        there.front() = 77;
        there.back() = 78;
        return there;
      },
      big);
  ASSERT_EQ(back.size(), big.size());
  EXPECT_EQ(back.front(), 77);
  EXPECT_EQ(back.back(), 78);
  EXPECT_TRUE(std::equal(big.begin() + 1, big.end() - 1, back.begin() + 1));
}

}  // namespace
}  // namespace procession::pool_test
