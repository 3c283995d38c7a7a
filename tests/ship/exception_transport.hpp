// An exception through a message and back, as between a worker and its caller.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <typeinfo>

#include "procession/detail/exceptions.hpp"
#include "procession/detail/memory.hpp"
#include "procession/detail/stream.hpp"
#include "procession/errors.hpp"

namespace procession::test_support {

// The bytes of the exception that `thrower` throws, and of what follows it in the message.
class ExceptionMessage {
 public:
  static constexpr int follower = 4711;

  template <class F>
  explicit ExceptionMessage(F thrower, std::span<void* const> frames = {}) {
    detail::Writer writer("test");
    writer.write("x", 1);  // nothing in the message may count on an aligned start
    try {
      thrower();
    } catch (...) {
      detail::encode_current_exception(writer, frames);
    }
    writer.write(&follower, sizeof follower);
    size_ = writer.size();
    block_ = writer.finish();
  }
  ~ExceptionMessage() { detail::deallocate(block_); }
  ExceptionMessage(const ExceptionMessage&) = delete;
  ExceptionMessage& operator=(const ExceptionMessage&) = delete;

  // Checks on the way that the reader stands behind the exception.
  std::exception_ptr decode() const {
    detail::Reader reader(static_cast<const std::byte*>(block_), size_);
    reader.take(1);
    std::exception_ptr exception = detail::decode_exception(reader);
    EXPECT_EQ(reader.left(), sizeof follower);
    return exception;
  }

 private:
  void* block_;
  std::size_t size_;
};

template <class F>
std::exception_ptr transported(F thrower) {
  return ExceptionMessage(thrower).decode();
}

// What F threw here, as a string.
template <class F>
std::string what_of(F thrower) {
  try {
    thrower();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "(nothing was thrown)";
}

// Throws `exception` and gives the caught object to `check`.
template <class E, class Check>
void expect_caught(const std::exception_ptr& exception, Check check) {
  try {
    std::rethrow_exception(exception);
  } catch (const E& error) {
    check(error);
  } catch (...) {
    ADD_FAILURE() << "another type: " << detail::describe_current_exception();
  }
}

// The thrower's E arrives as an E and a RemoteInfo, says the same, and does so again after a
// second hop. Returns what arrived after the first.
template <class E, class F>
std::exception_ptr expect_arrives(F thrower, const std::string& type_name) {
  const std::string what = what_of(thrower);
  const std::exception_ptr once = transported(thrower);
  const std::exception_ptr twice = transported([&] { std::rethrow_exception(once); });
  for (const std::exception_ptr& arrived : {once, twice}) {
    expect_caught<E>(arrived, [&](const E& error) {
      EXPECT_TRUE(typeid(error) == typeid(detail::Rebuilt<E>)) << typeid(error).name();
      EXPECT_EQ(error.what(), what);
    });
    expect_caught<RemoteInfo>(arrived, [&](const RemoteInfo& info) {
      EXPECT_EQ(info.pid(), ::getpid());
      EXPECT_EQ(info.type_name(), type_name);
      EXPECT_NE(info.traceback().find(type_name + ": " + what), std::string::npos)
          << info.traceback();
    });
  }
  return once;
}

// The thrower's exception arrives as exactly RemoteError, saying `what`.
template <class F>
void expect_remote_error(F thrower, const std::string& type_name, const std::string& what) {
  const std::exception_ptr once = transported(thrower);
  const std::exception_ptr twice = transported([&] { std::rethrow_exception(once); });
  for (const std::exception_ptr& arrived : {once, twice}) {
    expect_caught<RemoteError>(arrived, [&](const RemoteError& error) {
      EXPECT_TRUE(typeid(error) == typeid(RemoteError));
      EXPECT_EQ(error.type_name(), type_name);
      EXPECT_STREQ(error.what(), what.c_str());
      EXPECT_EQ(error.pid(), ::getpid());
    });
  }
}

}  // namespace procession::test_support
