// Exceptions of the program's own, registered.
#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

#include "procession/remote.hpp"
#include "ship/exception_transport.hpp"
#include "ship/exceptions.hpp"

namespace procession {
namespace {

using namespace test_support;

// Shippable: code and place arrive.
struct ParseError : std::runtime_error {
  ParseError() : std::runtime_error("") {}
  ParseError(int line_of_error, std::string file_of_error)
      : std::runtime_error("line " + std::to_string(line_of_error) + " of " + file_of_error),
        line(line_of_error),
        file(std::move(file_of_error)) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(line, file);
  }
  int line = 0;
  std::string file;
};

// Made from what(), which would be prefixed twice.
struct Prefixed : std::runtime_error {
  explicit Prefixed(const std::string& text) : std::runtime_error("prefixed: " + text) {}
};
struct FromLiteral : std::logic_error {
  explicit FromLiteral(const char* text) : std::logic_error(text) {}
};
struct Derived : Prefixed {
  using Prefixed::Prefixed;
};
struct Final final : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Bare : std::exception {
  const char* what() const noexcept override { return "bare"; }
};
struct Plain {
  int number;
  std::string text;
};

// Not a std::exception.
struct Refusal {
  template <class Archive>
  void serialize(Archive& archive) {
    archive(code);
  }
  int code = 0;
};

// Its encoding or decoding throws when it is told to.
struct Treacherous : std::runtime_error {
  enum Where { Nowhere, Saving, SavingAgain, Loading, MoreLater };
  explicit Treacherous(Where place = Nowhere) : std::runtime_error("treacherous"), where(place) {}
  template <class Archive>
  void save(Archive& archive) const {
    ++saves;
    archive(where, std::string("padding of some length"));
    if (where == Saving || (where == SavingAgain && saves == 2)) throw 1;
    if (where == MoreLater && saves == 2) archive(std::string("more"));
  }
  template <class Archive>
  void load(Archive& archive) {
    std::string padding;
    archive(where);
    if (where == Loading) throw 2;
    archive(padding);
  }
  Where where;
  static inline int saves = 0;
};

struct NeverReached : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[maybe_unused]] void nobody_calls_this() { register_exception<NeverReached>(); }

TEST(Registered, ShippableArrivesWithItsMembers) {
  register_exception<ParseError>();
  expect_caught<ParseError>(
      expect_arrives<ParseError>([] { throw ParseError(3, "a.txt"); },
                                 "procession::(anonymous namespace)::ParseError"),
      [](const ParseError& error) {
        EXPECT_EQ(error.line, 3);
        EXPECT_EQ(error.file, "a.txt");
      });
}

TEST(Registered, MadeFromItsTextSaysExactlyTheSame) {
  register_exception<Prefixed>();
  register_exception<FromLiteral>();
  expect_arrives<Prefixed>([] { throw Prefixed("x"); },
                           "procession::(anonymous namespace)::Prefixed");
  expect_arrives<FromLiteral>([] { throw FromLiteral("x"); },
                              "procession::(anonymous namespace)::FromLiteral");
}

TEST(Registered, ADerivedClassIsNotRegisteredByItsBase) {
  register_exception<Prefixed>();
  expect_remote_error([] { throw Derived("x"); }, "procession::(anonymous namespace)::Derived",
                      "prefixed: x");
}

TEST(Registered, KeepsItsTypeWhenItHoldsANestedOne) {
  register_exception<Prefixed>();
  const auto arrived = transported([] {
    try {
      throw 1;
    } catch (...) {
      std::throw_with_nested(Prefixed("x"));
    }
  });
  expect_caught<Prefixed>(arrived,
                          [](const Prefixed& error) { EXPECT_STREQ(error.what(), "prefixed: x"); });
}

TEST(Registered, NeedsNotBeAStdException) {
  register_exception<Refusal>();
  const auto arrived = transported([] { throw Refusal{7}; });
  const auto again = transported([&] { std::rethrow_exception(arrived); });
  for (const auto& exception : {arrived, again}) {
    expect_caught<Refusal>(exception, [](const Refusal& refusal) { EXPECT_EQ(refusal.code, 7); });
    expect_caught<RemoteInfo>(exception, [](const RemoteInfo& info) {
      EXPECT_EQ(info.type_name(), "procession::(anonymous namespace)::Refusal");
    });
  }
}

TEST(Registered, MayBeAPlainAggregate) {
  register_exception<Plain>();
  expect_caught<Plain>(transported([] {
                         throw Plain{7, "seven"};
                       }),
                       [](const Plain& plain) {
                         EXPECT_EQ(plain.number, 7);
                         EXPECT_EQ(plain.text, "seven");
                       });
}

TEST(Registered, WithoutMembersOfItsOwnNeedsNoText) {
  register_exception<Bare>();
  expect_arrives<Bare>([] { throw Bare(); }, "procession::(anonymous namespace)::Bare");
}

TEST(Registered, AFinalClassArrivesAsItIs) {
  register_exception<Final>();
  expect_caught<Final>(transported([] { throw Final("the end"); }), [](const Final& error) {
    EXPECT_TRUE(typeid(error) == typeid(Final));
    EXPECT_STREQ(error.what(), "the end");
  });
}

TEST(Registered, ByACallThatIsNeverReached) {
  expect_caught<NeverReached>(transported([] { throw NeverReached("x"); }),
                              [](const NeverReached& error) { EXPECT_STREQ(error.what(), "x"); });
}

TEST(Registered, TwiceIsOnce) {
  register_exception<ParseError>();
  register_exception<ParseError>();
  EXPECT_NE(detail::find_exception_type(typeid(ParseError)), nullptr);
}

TEST(Registered, ThatCannotBeWrittenOrReadArrivesAsRemoteError) {
  register_exception<Treacherous>();
  for (const auto where : {Treacherous::Saving, Treacherous::SavingAgain, Treacherous::Loading}) {
    Treacherous::saves = 0;
    expect_caught<RemoteError>(
        transported([&] { throw Treacherous(where); }), [](const RemoteError& error) {
          EXPECT_STREQ(error.what(), "treacherous");
          EXPECT_EQ(error.type_name(), "procession::(anonymous namespace)::Treacherous");
        });
  }
  expect_caught<Treacherous>(transported([] { throw Treacherous(Treacherous::Nowhere); }),
                             [](const Treacherous&) {});
}

TEST(Registered, ThatWritesMoreTheSecondTimeIsAnErrorWithASentence) {
  register_exception<Treacherous>();
  Treacherous::saves = 0;
  EXPECT_THROW((void)transported([] { throw Treacherous(Treacherous::MoreLater); }), ProcessError);
}

}  // namespace

// Two types of one name: which one was meant cannot be told from the name.
namespace {
struct Twin : std::runtime_error {
  using std::runtime_error::runtime_error;
};
}  // namespace
void register_the_other_twin();  // exception_twin.cpp

TEST(Registered, OneNameForTwoTypesIsNobodys) {
  register_exception<Twin>();
  register_the_other_twin();
  expect_remote_error([] { throw Twin("x"); }, "procession::(anonymous namespace)::Twin", "x");
}

}  // namespace procession
