// Every exception that needs no registration: thrown, encoded, decoded, and caught as its own type
// and as RemoteInfo, with exactly the what() that it had.
#include "procession/detail/exceptions.hpp"

#include <gtest/gtest.h>

#include <any>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

#include "procession/errors.hpp"
#include "ship/exception_transport.hpp"
#include "ship/exceptions.hpp"

namespace procession {
namespace {

using namespace test_support;
using namespace std::chrono_literals;

template <class E>
class TextException : public testing::Test {};
using TextExceptions =
    testing::Types<std::runtime_error, std::logic_error, std::out_of_range, std::invalid_argument,
                   std::domain_error, std::length_error, std::range_error, std::overflow_error,
                   std::underflow_error, ProcessError, TimeoutError, StateError, NotShippable,
                   QueueEmpty, QueueFull, QueueClosed, BrokenBarrierError, TaskCancelled,
                   PoolClosed, BufferTooShort, AuthenticationError, ConnectionClosed, OutOfMemory>;
TYPED_TEST_SUITE(TextException, TextExceptions);

TYPED_TEST(TextException, ArrivesAsItselfWithItsText) {
  const std::string name = detail::readable_type(typeid(TypeParam));
  expect_arrives<TypeParam>([] { throw TypeParam("a text of its own"); }, name);
  expect_arrives<TypeParam>([] { throw TypeParam(""); }, name);
}

TYPED_TEST(TextException, ArrivesAsItselfWhenItHoldsANestedOne) {
  const auto thrower = [] {
    try {
      throw std::invalid_argument("the cause");
    } catch (...) {
      std::throw_with_nested(TypeParam("the effect"));
    }
  };
  const auto arrived = expect_arrives<TypeParam>(thrower, detail::readable_type(typeid(TypeParam)));
  expect_caught<RemoteInfo>(arrived, [](const RemoteInfo& info) {
    EXPECT_NE(info.traceback().find("caused by std::invalid_argument: the cause\n"),
              std::string::npos);
  });
}

template <class E>
class PlainException : public testing::Test {};
using PlainExceptions =
    testing::Types<std::exception, std::bad_alloc, std::bad_array_new_length, std::bad_cast,
                   std::bad_any_cast, std::bad_typeid, std::bad_exception, std::bad_function_call,
                   std::bad_weak_ptr, std::bad_optional_access, std::bad_variant_access>;
TYPED_TEST_SUITE(PlainException, PlainExceptions);

TYPED_TEST(PlainException, ArrivesAsItself) {
  expect_arrives<TypeParam>([] { throw TypeParam(); }, detail::readable_type(typeid(TypeParam)));
}

TEST(StandardLibrary, WhatItThrowsItselfArrivesAsItself) {
  expect_arrives<std::out_of_range>([] { (void)std::vector<int>(3).at(5); }, "std::out_of_range");
  expect_arrives<std::bad_any_cast>([] { (void)std::any_cast<int>(std::any("x")); },
                                    "std::bad_any_cast");
  expect_arrives<std::bad_optional_access>([] { (void)std::optional<int>().value(); },
                                           "std::bad_optional_access");
  expect_arrives<std::bad_function_call>([] { std::function<void()>()(); },
                                         "std::bad_function_call");
  // Its what() says more than that of one made by the default constructor.
  expect_arrives<std::bad_variant_access>([] { (void)std::get<0>(std::variant<int, char>('x')); },
                                          "std::bad_variant_access");
  expect_arrives<std::bad_weak_ptr>([] { std::shared_ptr<int> p{std::weak_ptr<int>()}; },
                                    "std::bad_weak_ptr");
  expect_arrives<std::invalid_argument>([] { (void)std::stoi("x"); }, "std::invalid_argument");
}

TEST(SystemErrors, KeepCodeAndText) {
  for (const std::error_code code :
       {std::error_code(EACCES, std::generic_category()),
        std::error_code(ENOENT, std::system_category()), make_error_code(std::io_errc::stream),
        make_error_code(std::future_errc::no_state)}) {
    for (const char* text : {"opening the door", ""}) {
      const auto arrived = expect_arrives<std::system_error>(
          [&] { throw std::system_error(code, text); }, "std::system_error");
      expect_caught<std::system_error>(arrived, [&](const std::system_error& error) {
        EXPECT_EQ(error.code(), code);
        // A copy by value has lost Rebuilt and must say the same.
        EXPECT_STREQ(std::system_error(error).what(), error.what());
      });
    }
  }
  expect_arrives<std::system_error>(
      [] { throw std::system_error(std::error_code(EACCES, std::generic_category())); },
      "std::system_error");
}

class PaintCategory : public std::error_category {
  const char* name() const noexcept override { return "paint"; }
  std::string message(int value) const override {
    return value == 1 ? "out of red" : "something with paint";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    return value == 1 ? std::make_error_condition(std::errc::no_buffer_space)
                      : std::error_condition(value, *this);
  }
};

TEST(SystemErrors, OfACategoryOfTheProgramKeepIt) {
  static const PaintCategory paint;
  expect_caught<std::system_error>(
      expect_arrives<std::system_error>([] { throw std::system_error(1, paint, "painting"); },
                                        "std::system_error"),
      [](const std::system_error& error) { EXPECT_EQ(error.code(), std::error_code(1, paint)); });
}

TEST(SystemErrors, OfACategoryThatCannotBeFoundKeepNameMessageAndCondition) {
  const auto paint = std::make_unique<PaintCategory>();
  std::error_code first;
  for (int round = 0; round < 2; ++round) {
    const auto arrived = expect_arrives<std::system_error>(
        [&] { throw std::system_error(1, *paint, "painting"); }, "std::system_error");
    expect_caught<std::system_error>(arrived, [&](const std::system_error& error) {
      EXPECT_EQ(error.code().value(), 1);
      EXPECT_STREQ(error.code().category().name(), "paint");
      EXPECT_EQ(error.code().message(), "out of red");
      EXPECT_TRUE(error.code() == std::errc::no_buffer_space);
      if (round == 0) first = error.code();
      EXPECT_EQ(error.code(), first) << "one category for one code";
    });
  }
  expect_caught<std::system_error>(
      transported([&] { throw std::system_error(2, *paint, "painting"); }),
      [](const std::system_error& error) {
        EXPECT_EQ(error.code().message(), "something with paint");
        EXPECT_EQ(error.code().default_error_condition().value(), 2);
        EXPECT_FALSE(error.code() == std::errc::no_buffer_space);
      });
}

TEST(FilesystemError, KeepsBothPathsAndTheCode) {
  using Error = std::filesystem::filesystem_error;
  const auto arrived =
      expect_arrives<Error>([] { std::filesystem::rename("/no such/a", "/no such/b"); },
                            "std::filesystem::filesystem_error");
  expect_caught<Error>(arrived, [](const Error& error) {
    EXPECT_EQ(error.path1(), "/no such/a");
    EXPECT_EQ(error.path2(), "/no such/b");
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_STREQ(Error(error).what(), error.what());
  });
}

TEST(IosFailure, OfAStreamAndOfTheProgramArrive) {
  const auto by_stream = [] {
    std::ifstream file;
    file.exceptions(std::ios::failbit);
    file.open("/no such/file");
  };
  for (const auto& arrived :
       {expect_arrives<std::ios_base::failure>(by_stream, "std::ios_base::failure"),
        expect_arrives<std::ios_base::failure>([] { throw std::ios_base::failure("mine"); },
                                               "std::ios_base::failure")}) {
    expect_caught<std::ios_base::failure>(arrived, [](const std::ios_base::failure& error) {
      EXPECT_EQ(error.code(), std::io_errc::stream);
    });
  }
}

TEST(FutureError, KeepsItsCode) {
  const auto thrower = [] {
    std::promise<int> promise;
    promise.set_value(1);
    promise.set_value(2);
  };
  expect_caught<std::future_error>(expect_arrives<std::future_error>(thrower, "std::future_error"),
                                   [](const std::future_error& error) {
                                     EXPECT_EQ(error.code(),
                                               std::future_errc::promise_already_satisfied);
                                   });
}

TEST(RegexError, KeepsItsCode) {
  using namespace std::regex_constants;
  expect_caught<std::regex_error>(
      expect_arrives<std::regex_error>([] { throw std::regex_error(error_paren); },
                                       "std::regex_error"),
      [](const std::regex_error& error) { EXPECT_EQ(error.code(), error_paren); });
}

TEST(SystemErrorOfOurs, KeepsCodeAndPhase) {
  expect_caught<SystemError>(
      expect_arrives<SystemError>([] { throw SystemError(EAGAIN, "fork", "cannot fork"); },
                                  "procession::SystemError"),
      [](const SystemError& error) {
        EXPECT_EQ(error.code(), EAGAIN);
        EXPECT_EQ(error.phase(), "fork");
      });
}

TEST(OwnerDiedAcrossProcesses, KeepsItsMembers) {
  expect_caught<OwnerDied>(
      expect_arrives<OwnerDied>([] { throw OwnerDied(42, "Process-1", "jobs"); },
                                "procession::OwnerDied"),
      [](const OwnerDied& error) {
        EXPECT_EQ(error.pid(), 42);  // the dead owner, where RemoteInfo's is the thrower
        EXPECT_EQ(error.process_name(), "Process-1");
        EXPECT_EQ(error.object_name(), "jobs");
      });
}

TEST(DeadlockErrorAcrossProcesses, KeepsItsCycle) {
  const std::vector<WaitEdge> cycle{{1, "A", "first", 2, "B", 0ns},
                                    {2, "B", "second", 1, "A", 3400ms}};
  expect_caught<DeadlockError>(expect_arrives<DeadlockError>([&] { throw DeadlockError(cycle); },
                                                             "procession::DeadlockError"),
                               [](const DeadlockError& error) {
                                 ASSERT_EQ(error.cycle().size(), 2U);
                                 EXPECT_EQ(error.cycle()[1].pid, 2);
                                 EXPECT_EQ(error.cycle()[1].process_name, "B");
                                 EXPECT_EQ(error.cycle()[1].waits_for, "second");
                                 EXPECT_EQ(error.cycle()[1].held_by, 1);
                                 EXPECT_EQ(error.cycle()[1].holder_name, "A");
                                 EXPECT_EQ(error.cycle()[1].waiting, 3400ms);
                               });
}

TEST(WorkerDiedAcrossProcesses, KeepsItsMembers) {
  expect_caught<WorkerDied>(
      expect_arrives<WorkerDied>(
          [] { throw WorkerDied(7, -SIGSEGV, DeathReason::Signal, 3, "task 'x'"); },
          "procession::WorkerDied"),
      [](const WorkerDied& error) {
        EXPECT_EQ(error.pid(), 7);
        EXPECT_EQ(error.exitcode(), -SIGSEGV);
        EXPECT_EQ(error.signal(), SIGSEGV);
        EXPECT_EQ(error.reason(), DeathReason::Signal);
        EXPECT_EQ(error.attempts(), 3);
        EXPECT_EQ(error.detail(), "task 'x'");
      });
}

TEST(RemoteErrorAcrossProcesses, KeepsTheTracebackItWasGiven) {
  const auto arrived =
      transported([] { throw RemoteError("far::Away", 99, "lost", "the stack over there"); });
  expect_caught<RemoteError>(arrived, [](const RemoteError& error) {
    EXPECT_EQ(error.type_name(), "far::Away");
    EXPECT_EQ(error.pid(), 99);
    EXPECT_STREQ(error.what(), "lost");
    EXPECT_EQ(error.traceback(), "the stack over there");
  });
}

}  // namespace
}  // namespace procession
