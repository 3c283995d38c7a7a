// What is said about exceptions: of unknown types, of nested ones, of those that cross twice.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>

#include "procession/errors.hpp"
#include "ship/exception_transport.hpp"
#include "ship/exceptions.hpp"
#include "system/stack_trace.hpp"

namespace procession {
namespace {

using namespace test_support;

struct Unregistered : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Opaque {};
enum class Colour { Red };

TEST(UnknownType, DerivedFromAStandardOneIsNotTakenForIt) {
  expect_remote_error([] { throw Unregistered("mine"); },
                      "procession::(anonymous namespace)::Unregistered", "mine");
}

TEST(UnknownType, NestedByThrowWithNestedHasItsOwnName) {
  expect_remote_error(
      [] {
        try {
          throw 1;
        } catch (...) {
          std::throw_with_nested(Unregistered("mine"));
        }
      },
      "procession::(anonymous namespace)::Unregistered", "mine");
}

TEST(UnknownType, WithoutWhatIsNamedInASentenceWithItsValue) {
  expect_remote_error([] { throw 5; }, "int", "an exception of type int was thrown: 5");
  expect_remote_error([] { throw 5UL; }, "unsigned long",
                      "an exception of type unsigned long was thrown: 5");
  expect_remote_error([] { throw true; }, "bool", "an exception of type bool was thrown: true");
  expect_remote_error([] { throw 'x'; }, "char", "an exception of type char was thrown: x");
  expect_remote_error([] { throw "boom"; }, "char const*",
                      "an exception of type char const* was thrown: boom");
  expect_remote_error([] { throw std::string("boom"); }, "std::string",
                      "an exception of type std::string was thrown: boom");
  expect_remote_error([] { throw Opaque(); }, "procession::(anonymous namespace)::Opaque",
                      "an exception of type procession::(anonymous namespace)::Opaque was thrown");
  expect_remote_error([] { throw Colour::Red; }, "procession::(anonymous namespace)::Colour",
                      "an exception of type procession::(anonymous namespace)::Colour was thrown");
}

TEST(UnknownType, WithAnAmbiguousBaseOrANullWhatDoesNoHarm) {
  struct Left : std::exception {};
  struct Right : std::exception {};
  struct Both : Left, Right {};
  EXPECT_NO_THROW(expect_caught<RemoteError>(transported([] { throw Both(); }), [](auto&) {}));
  struct Mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  expect_caught<RemoteError>(transported([] { throw Mute(); }),
                             [](const RemoteError& error) { EXPECT_STREQ(error.what(), ""); });
}

void throw_three_deep() {
  try {
    try {
      throw 3;
    } catch (...) {
      std::throw_with_nested(std::logic_error("the plan"));
    }
  } catch (...) {
    std::throw_with_nested(std::runtime_error("the run"));
  }
}

TEST(Traceback, ListsTheNestedExceptions) {
  expect_caught<RemoteInfo>(transported(throw_three_deep), [](const RemoteInfo& info) {
    EXPECT_EQ(info.type_name(), "std::runtime_error");
    EXPECT_TRUE(
        info.traceback().ends_with("caused by std::logic_error: the plan\n"
                                   "caused by int: 3\n"))
        << info.traceback();
  });
}

TEST(Traceback, NamesTheProcessItsPidAndTheError) {
  detail::set_process_name_source([] { return std::string("Process-3"); });
  const auto arrived = transported([] { throw std::out_of_range("too far"); });
  detail::set_process_name_source(nullptr);
  expect_caught<RemoteInfo>(arrived, [](const RemoteInfo& info) {
    EXPECT_TRUE(info.traceback().starts_with("process 'Process-3' (pid " +
                                             std::to_string(::getpid()) +
                                             "): std::out_of_range: too far\n"))
        << info.traceback();
  });
}

[[gnu::noinline]] void the_function_that_throws(void*) { throw std::runtime_error("here"); }

TEST(Traceback, ShowsTheStackOfTheThrowAlsoAfterTwoHops) {
  detail::ThrowSite site;
  std::exception_ptr arrived;
  try {
    detail::call_watching_throws(&the_function_that_throws, nullptr, site);
  } catch (...) {
    const std::exception_ptr thrown = std::current_exception();
    arrived = ExceptionMessage([&] { std::rethrow_exception(thrown); }, site.stack()).decode();
  }
  ASSERT_GT(site.size, 0U);
  std::string first;
  expect_caught<RemoteInfo>(arrived, [&](const RemoteInfo& info) { first = info.traceback(); });
  EXPECT_NE(first.find("the_function_that_throws"), std::string::npos) << first;
  const auto again = transported([&] { std::rethrow_exception(arrived); });
  expect_caught<RemoteInfo>(again,
                            [&](const RemoteInfo& info) { EXPECT_EQ(info.traceback(), first); });
}

TEST(TwoHops, KeepThePidOfTheFirstProcess) {
  // The first process is another one: its exception comes back through a pipe of bytes.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    detail::Writer writer("test");
    try {
      throw std::out_of_range("over there");
    } catch (...) {
      detail::encode_current_exception(writer, {});
    }
    const std::size_t size = writer.size();
    const void* block = writer.finish();
    const bool whole = ::write(ends[1], block, size) == static_cast<ssize_t>(size);
    ::_exit(whole ? 0 : 1);
  }
  ::close(ends[1]);
  alignas(16) std::byte bytes[4096];
  const ssize_t size = ::read(ends[0], bytes, sizeof bytes);
  ::close(ends[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_GT(size, 0);
  const auto thrower = [&] {
    detail::Reader reader(bytes, static_cast<std::size_t>(size));
    detail::rethrow_remote(reader);
  };
  expect_caught<std::out_of_range>(transported(thrower), [&](const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "over there");
    EXPECT_EQ(dynamic_cast<const RemoteInfo&>(error).pid(), child);
  });
}

template <class F>
std::string described(F thrower) {
  try {
    thrower();
  } catch (...) {
    return detail::describe_current_exception();
  }
  return {};
}

TEST(Description, IsTypeAndTextOfAnyException) {
  EXPECT_EQ(described([] { throw std::runtime_error("text"); }), "std::runtime_error: text");
  EXPECT_EQ(described([] { throw StateError("text"); }), "procession::StateError: text");
  EXPECT_EQ(described([] { throw 5; }), "int: 5");
  EXPECT_EQ(described([] { throw Opaque(); }), "procession::(anonymous namespace)::Opaque");
  EXPECT_EQ(described(throw_three_deep),
            "std::runtime_error: the run\ncaused by std::logic_error: the plan\ncaused by int: 3");
  const auto remote = transported([] { throw std::out_of_range("far"); });
  EXPECT_EQ(described([&] { std::rethrow_exception(remote); }), "std::out_of_range: far");
}

TEST(Message, ThatIsCutOffIsAnErrorAndNotACrash) {
  detail::Writer writer("test");
  try {
    throw OwnerDied(42, "Process-1", "jobs");
  } catch (...) {
    detail::encode_current_exception(writer, {});
  }
  const std::size_t size = writer.size();
  void* block = writer.finish();
  for (std::size_t length = 0; length < size; ++length) {
    detail::Reader reader(static_cast<const std::byte*>(block), length);
    EXPECT_THROW((void)detail::decode_exception(reader), ProcessError) << length;
  }
  detail::deallocate(block);
}

}  // namespace
}  // namespace procession
