// Messages that end early, or say what cannot be: an error, never a crash or a huge allocation.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "ship/round_trip.hpp"
#include "support/fixture.hpp"

namespace procession::detail {
namespace {

struct Everything {
  std::string text;
  std::vector<int> numbers;
  std::vector<std::string> texts;
  std::vector<bool> bits;
  std::map<int, std::string> map;
  std::set<std::string> set;
  std::list<long> list;
  std::optional<std::string> optional;
  std::variant<std::string, std::vector<char>> variant;
  std::unique_ptr<std::string> unique;
  std::shared_ptr<std::string> shared, again;
  std::tuple<char, double, std::string> tuple;
};

Everything everything() {
  auto shared = std::make_shared<std::string>("shared");
  return {"text",
          {1, 2, 3},
          {"a", "bc"},
          {true, false},
          {{1, "one"}},
          {"x", "y"},
          {4, 5},
          "value",
          "variant",
          std::make_unique<std::string>("unique"),
          shared,
          shared,
          {'c', 1.5, "tuple"}};
}

TEST(CodecDamage, EveryTruncatedMessageIsAnError) {
  const Message message = encoded(everything());
  for (std::size_t size = 0; size < message.size; ++size) {
    Reader reader = message.reader(size);
    EXPECT_THROW(static_cast<void>(decode<Everything>(reader)), ProcessError) << size;
  }
  Reader whole = message.reader();
  EXPECT_EQ(std::get<2>(decode<Everything>(whole).tuple), "tuple");
}

TEST(CodecDamage, EveryChangedByteGivesAValueOrAnError) {
  const Message message = encoded(everything());
  std::vector<std::byte> bytes(message.size + 16);
  void* aligned = bytes.data();
  std::size_t space = bytes.size();
  auto* copy = static_cast<std::byte*>(std::align(16, message.size, aligned, space));
  for (std::size_t at = Message::prefix; at < message.size; ++at) {
    for (const std::byte value : {std::byte{0}, std::byte{1}, std::byte{0x7f}, std::byte{0xff}}) {
      std::memcpy(copy, message.block.get(), message.size);
      copy[at] = value;
      try {
        Reader reader(copy, message.size, Message::prefix);
        static_cast<void>(decode<Everything>(reader));
      } catch (const ProcessError&) {
      }
    }
  }
}

// The number of elements is believed only as far as there are bytes for them.
template <class Container>
void expect_refused(std::uint64_t size) {
  Writer writer("Test::send", Message::prefix);
  encode(writer, size);
  encode(writer, std::uint64_t{0});
  const Message message(writer);
  Reader reader = message.reader();
  EXPECT_THROW(static_cast<void>(decode<Container>(reader)), ProcessError)
      << type_name<Container>() << ' ' << size;
}

TEST(CodecDamage, AHugeNumberOfElementsIsNotAllocated) {
  for (const std::uint64_t size :
       {std::uint64_t{1} << 32, ~std::uint64_t{0}, ~std::uint64_t{7}, std::uint64_t{1} << 61}) {
    expect_refused<std::vector<int>>(size);
    expect_refused<std::vector<std::string>>(size);
    expect_refused<std::vector<bool>>(size);
    expect_refused<std::string>(size);
    expect_refused<std::wstring>(size);
    expect_refused<std::map<int, int>>(size);
    expect_refused<std::set<char>>(size);
    expect_refused<std::deque<std::tuple<>>>(size);
    expect_refused<std::vector<std::optional<std::array<std::string, 100>>>>(size);
  }
}

struct Tree {
  std::string name;
  std::vector<Tree> children;
};
struct Chain {
  std::int32_t value;
  std::unique_ptr<Chain> next;
};
struct SharedChain {
  std::int32_t value;
  std::shared_ptr<SharedChain> next;
};

// Types that can hold themselves: the bytes of one level, again and again. Level n of a chain of
// shared objects names object n + 1.
template <class T>
void expect_too_deep(std::array<std::uint32_t, 4> level, bool numbered = false) {
  Writer writer("Test::send", Message::prefix);
  writer.align(8);
  for (std::uint32_t i = 0; i < 500'000; ++i) {
    if (numbered) level = {7, 2 * i + 1, 7, 2 * i + 2};
    writer.write(level.data(), sizeof level);
  }
  const Message message(writer);
  Reader reader = message.reader();
  try {
    (void)decode<T>(reader);
    ADD_FAILURE() << type_name<T>();
  } catch (const ProcessError& error) {
    EXPECT_NE(std::string(error.what()).find("stack"), std::string::npos) << error.what();
  }
}

TEST(CodecDamage, WhatIsNestedTooDeeplyForTheStackIsAnError) {
  if (test_support::under_tsan) GTEST_SKIP() << "TSan records no stack of more than 65,536 calls";
  const auto all = [] {
    expect_too_deep<Tree>({0, 0, 1, 0});   // no name, one child
    expect_too_deep<Chain>({7, 1, 7, 1});  // a value, and there is a next
    expect_too_deep<SharedChain>({}, true);
  };
  all();
  std::thread(all).join();
}

TEST(CodecDamage, WhatIsNestedAThousandTimesArrives) {
  Tree tree{"leaf", {}};
  for (int i = 0; i < 1000; ++i) {
    Tree parent{"node", {}};
    parent.children.push_back(std::move(tree));
    tree = std::move(parent);
  }
  const Tree copy = round_trip(tree);
  int depth = 0;
  const Tree* at = &copy;
  for (; !at->children.empty(); at = &at->children.front()) ++depth;
  EXPECT_EQ(depth, 1000);
  EXPECT_EQ(at->name, "leaf");
}

TEST(CodecDamage, ReferencesToObjectsThatWereNotSentAreErrors) {
  for (const std::uint32_t number : {2U, 77U, ~0U}) {
    Writer writer("Test::send", Message::prefix);
    encode(writer, number);
    encode(writer, std::uint64_t{0});
    const Message message(writer);
    Reader reader = message.reader();
    EXPECT_THROW(static_cast<void>(decode<std::shared_ptr<std::string>>(reader)), ProcessError);
  }
}

TEST(CodecDamage, AnUnknownAlternativeIsAnError) {
  Writer writer("Test::send", Message::prefix);
  encode(writer, std::uint32_t{2});
  const Message message(writer);
  Reader reader = message.reader();
  using Variant = std::variant<std::string, std::vector<int>>;
  EXPECT_THROW(static_cast<void>(decode<Variant>(reader)), ProcessError);
}

}  // namespace
}  // namespace procession::detail
