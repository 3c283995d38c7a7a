// Writer and Reader: growth, alignment, nesting, and what they give back.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "procession/errors.hpp"
#include "ship/round_trip.hpp"
#include "ship/test_handle.hpp"

namespace procession::detail {
namespace {

TEST(Stream, WhateverIsWrittenIsReadInOrder) {
  EXPECT_TRUE(rc::check([](const std::vector<std::vector<char>>& parts, std::uint8_t prefix) {
    Writer writer("Test::send", prefix);
    for (const auto& part : parts) {
      writer.align(8);
      writer.write(part.data(), part.size());
    }
    const std::size_t size = writer.size();
    const std::unique_ptr<void, FreeBlock> block(writer.finish());
    Reader reader(static_cast<const std::byte*>(block.get()), size, prefix);
    for (const auto& part : parts) {
      reader.align(8);
      const std::byte* bytes = reader.take(part.size());
      RC_ASSERT(reinterpret_cast<std::uintptr_t>(bytes) % 8 == 0U);
      RC_ASSERT(std::equal(part.begin(), part.end(), reinterpret_cast<const char*>(bytes)));
    }
    RC_ASSERT(reader.left() == 0U);
  }));
}

TEST(Stream, ThePrefixIsZeroAndTheWriterEmptyAfterwards) {
  Writer writer("Test::send", 40);
  writer.write("text", 4);
  EXPECT_EQ(writer.size(), 44U);
  const std::unique_ptr<void, FreeBlock> block(writer.finish());
  const std::string zeros(40, '\0');
  EXPECT_EQ(std::memcmp(block.get(), zeros.data(), 40), 0);
  EXPECT_EQ(writer.size(), 0U);
  EXPECT_GE(block_size(block.get()), 44U);
}

TEST(Stream, MessagesGrowPastTheScratchBufferWithoutLoss) {
  Writer writer("Test::send");
  for (std::uint32_t i = 0; i < 100'000; ++i) writer.write(&i, sizeof i);
  const std::size_t size = writer.size();
  const std::unique_ptr<void, FreeBlock> block(writer.finish());
  Reader reader(static_cast<const std::byte*>(block.get()), size);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    std::uint32_t value = 0;
    std::memcpy(&value, reader.take(sizeof value), sizeof value);
    ASSERT_EQ(value, i);
  }
}

TEST(Stream, AnEmptyMessageIsABlock) {
  Writer writer("Test::send");
  const std::unique_ptr<void, FreeBlock> block(writer.finish());
  EXPECT_NE(block, nullptr);
}

TEST(Stream, AnUnfinishedWriterGivesItsBlockBack) {
  const TestHandle handle("unfinished");
  const auto before = handle.handle_object()->references;
  {
    Writer writer("Test::send");
    const std::vector<char> large(1 << 20);
    writer.write(large.data(), large.size());
    writer.add_handle(handle.handle_object());
  }
  EXPECT_EQ(handle.handle_object()->references, before);
}

TEST(Stream, WritersOfOneThreadDoNotShareABuffer) {
  Writer outer("Test::outer");
  outer.write("outer", 5);
  for (int i = 0; i < 3; ++i) {
    Writer inner("Test::inner");
    Writer innermost("Test::innermost");
    inner.write("inner", 5);
    innermost.write("innermost", 9);
  }
  const std::unique_ptr<void, FreeBlock> block(outer.finish());
  EXPECT_EQ(std::memcmp(block.get(), "outer", 5), 0);
}

TEST(Stream, AWriterCanBeUsedAgainAndByAnotherThread) {
  Writer writer("Test::send");
  std::thread([&] {
    for (int round = 0; round < 3; ++round) {
      writer.write("round", 5);
      const std::unique_ptr<void, FreeBlock> block(writer.finish());
      EXPECT_EQ(std::memcmp(block.get(), "round", 5), 0);
    }
  }).join();
}

TEST(Stream, ReadingPastTheEndIsAnErrorAndTakesNothing) {
  alignas(16) const std::byte bytes[16]{};
  Reader reader(bytes, 16, 10);
  EXPECT_THROW(reader.take(7), ProcessError);
  EXPECT_THROW(reader.take(~std::size_t{0}), ProcessError);
  EXPECT_EQ(reader.left(), 6U);
  reader.take(6);
  EXPECT_EQ(reader.left(), 0U);
  reader.align(16);
  EXPECT_EQ(Reader(bytes, 16, 99).left(), 0U);
}

TEST(Stream, ModulesOfAMessageAreKnown) {
  Writer writer("Test::send");
  encode(writer, &std::strlen);
  encode(writer, static_cast<std::size_t (*)(const char*)>(nullptr));
  EXPECT_EQ(writer.modules().size(), 1U);
}

}  // namespace
}  // namespace procession::detail
