// What can be run, and with what: every kind of target and of argument, by every method.

#include <array>
#include <chrono>
#include <complex>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <variant>

#include "process/process_fixture.hpp"
#include "procession/bind_front.hpp"

namespace procession::process_test {

struct Adder {
  int base;
  void operator()(int number) const { std::exit(base + number); }
};

class Counter {
 public:
  explicit Counter(long start = 0) : count_(start) {}
  void run(int steps) { std::exit(static_cast<int>(count_ += steps)); }
  void look() const { std::exit(static_cast<int>(count_)); }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(count_);
  }

 private:
  long count_;
};

struct Point {
  int x, y;
};

struct Order {
  std::string name;
  std::vector<Point> route;
  std::map<std::string, std::vector<int>> boxes;
};

enum class Colour { Red = 7, Blue = 9 };

// Written by hand, and without a default constructor that means anything.
class Account {
 public:
  Account() = default;
  Account(std::string owner, int amount) : owner_(std::move(owner)), amount_(amount) {}
  int amount() const { return owner_ == "Ada" ? amount_ : -1; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner_, amount_);
  }

 private:
  std::string owner_;
  int amount_ = 0;
};

struct Unwritable {
  template <class Archive>
  void save(Archive&) const {
    throw std::out_of_range("cannot be written");
  }
  template <class Archive>
  void load(Archive&) {}
};

struct Unreadable {
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
  }
  template <class Archive>
  void load(Archive& archive) {
    int ignored = 0;
    archive(ignored);
    throw std::out_of_range("cannot be read");
  }
};

void exit_with(int code) { std::exit(code); }

namespace {

class ProcessTargets : public EachMethod {
 protected:
  template <class... Parts>
  std::optional<int> code_of(Parts&&... parts) {
    Process process(options(), std::forward<Parts>(parts)...);
    return run(process);
  }
};
FOR_EACH_START_METHOD(ProcessTargets);

TEST_P(ProcessTargets, Functions) {
  EXPECT_EQ(code_of(exit_with, 3), 3);
  EXPECT_EQ(code_of(&exit_with, 4), 4);
}

TEST_P(ProcessTargets, LambdasWithoutCapture) {
  EXPECT_EQ(code_of([] { std::exit(3); }), 3);
  EXPECT_EQ(code_of([](auto number) { std::exit(number); }, 4), 4);
}

TEST_P(ProcessTargets, LambdasThatCapturedNumbers) {
  const int a = 3;
  const short b = 4;
  const double c = 5;
  EXPECT_EQ(code_of([a, b, c](int d) { std::exit(a + b + static_cast<int>(c) + d); }, 6), 18);
  EXPECT_EQ(code_of([count = a]() mutable { std::exit(++count); }), 4);
}

TEST_P(ProcessTargets, LambdasThatCapturedSmallStructs) {
  const Point point{3, 4};
  const std::array<int, 3> numbers{5, 6, 7};
  EXPECT_EQ(code_of([point, numbers] { std::exit(point.x + point.y + numbers[2]); }), 14);
}

TEST_P(ProcessTargets, FunctionObjects) {
  EXPECT_EQ(code_of(Adder{40}, 2), 42);
  const Adder kept{50};
  EXPECT_EQ(code_of(kept, 2), 52);
}

TEST_P(ProcessTargets, MemberFunctionsWithTheirObject) {
  EXPECT_EQ(code_of(&Counter::run, Counter(3), 4), 7);
  EXPECT_EQ(code_of(&Counter::look, Counter(5)), 5);
}

TEST_P(ProcessTargets, BoundStringsAndVectors) {
  const auto add = [](std::string text, std::vector<int> numbers, int number) {
    std::exit(static_cast<int>(text.size()) + numbers.at(1) + number);
  };
  EXPECT_EQ(code_of(procession::bind_front(add, std::string("three"), std::vector{1, 2}), 3), 10);
}

TEST_P(ProcessTargets, ALiteralArrivesAsAString) {
  const auto target = [](auto text) {
    static_assert(std::is_same_v<decltype(text), std::string>);
    std::exit(text == "literal" ? 42 : 43);
  };
  EXPECT_EQ(code_of(target, "literal"), 42);
}

TEST_P(ProcessTargets, ArgumentsThatCanOnlyBeMoved) {
  const auto target = [](std::unique_ptr<int> number, std::unique_ptr<std::string> none) {
    std::exit(none == nullptr ? *number : 99);
  };
  EXPECT_EQ(code_of(target, std::make_unique<int>(42), std::unique_ptr<std::string>()), 42);
}

TEST_P(ProcessTargets, SharedPointersStayShared) {
  const auto target = [](std::vector<std::shared_ptr<int>> both) {
    *both[0] = 5;
    std::exit(*both[1]);
  };
  const auto number = std::make_shared<int>(4);
  EXPECT_EQ(code_of(target, std::vector{number, number}), 5);
  EXPECT_EQ(*number, 4);
}

TEST_P(ProcessTargets, ContainersAggregatesAndTheRest) {
  const Order order{"desk", {{1, 2}, {3, 4}}, {{"left", {5, 6}}, {"right", {7}}}};
  const auto target = [](Order o, std::set<std::string> names, std::tuple<int, std::string> pair,
                         std::optional<Point> point, std::variant<int, std::string> either) {
    const bool whole = o.name == "desk" && o.route.at(1).y == 4 && o.boxes.at("left").at(1) == 6 &&
                       names.contains("b") && std::get<1>(pair) == "one" && point->x == 8 &&
                       std::get<std::string>(either) == "text";
    std::exit(whole ? 42 : 43);
  };
  EXPECT_EQ(
      code_of(target, order, std::set<std::string>{"a", "b"}, std::tuple(1, std::string("one")),
              std::optional(Point{8, 9}), std::variant<int, std::string>("text")),
      42);
}

TEST_P(ProcessTargets, EnumsDurationsPathsAndComplexNumbers) {
  const auto target = [](Colour colour, std::chrono::milliseconds time, std::filesystem::path path,
                         std::complex<double> number) {
    const bool whole =
        colour == Colour::Blue && time == 15ms && path == "/a/b" && number.imag() == 2;
    std::exit(whole ? 42 : 43);
  };
  EXPECT_EQ(code_of(target, Colour::Blue, 15ms, std::filesystem::path("/a/b"),
                    std::complex<double>(1, 2)),
            42);
}

TEST_P(ProcessTargets, TypesThatSerializeThemselves) {
  EXPECT_EQ(code_of([](Account account) { std::exit(account.amount()); }, Account("Ada", 42)), 42);
}

TEST_P(ProcessTargets, LargeArguments) {
  std::vector<long> numbers(std::size_t{1} << 20);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<long>(i);
  const auto target = [](std::vector<long> all) {
    long wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i) wrong += all[i] != static_cast<long>(i);
    std::exit(wrong == 0 && all.size() == std::size_t{1} << 20 ? 42 : 43);
  };
  EXPECT_EQ(code_of(target, numbers), 42);
}

TEST_P(ProcessTargets, ArgumentsThatCannotBeWrittenFailTheStart) {
  if (GetParam() == StartMethod::Fork) GTEST_SKIP() << "nothing is written";
  Process process(
      options(), [](Unwritable) {}, Unwritable{});
  EXPECT_THROW(process.start(), std::out_of_range);
  EXPECT_EQ(process.state(), ProcessState::New);
  EXPECT_EQ(process.pid(), 0);
  EXPECT_EQ(code_of(exit_with, 4), 4);
}

TEST_P(ProcessTargets, ArgumentsThatCannotBeReadEndTheChildWithOne) {
  if (GetParam() == StartMethod::Fork) GTEST_SKIP() << "nothing is read";
  EXPECT_EQ(code_of([](Unreadable) {}, Unreadable{}), 1);
}

}  // namespace
}  // namespace procession::process_test
