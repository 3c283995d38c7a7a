#include "census.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "temporary_folder.hpp"

namespace headers {
namespace {

Census census_of(const std::vector<Batch>& batches) {
  Census census;
  for (const Batch& batch : batches) census.add(count_batch(batch));
  return census;
}

std::uint64_t tokens(const Census& census, TokenKind kind) {
  return census.totals().tokens[static_cast<std::size_t>(kind)];
}

// --- the table ---

TEST(IdentifierTable, CountsOccurrencesAndEachFileOnce) {
  IdentifierTable table;
  for (const std::uint32_t file : {0u, 0u, 1u, 1u, 7u}) table.count("a", file);
  table.count("b", 0);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find("a"), (IdentifierCount{"a", 3, 5}));
  EXPECT_EQ(table.find("b"), (IdentifierCount{"b", 1, 1}));
  EXPECT_EQ(table.find("c"), (IdentifierCount{"c", 0, 0}));
}

TEST(IdentifierTable, KeepsEveryNameApartWhileItGrows) {
  IdentifierTable table(1);
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    table.count(std::string(i % 40, 'x') + std::to_string(i), i);
  }
  EXPECT_EQ(table.size(), 50'000u);
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    EXPECT_EQ(table.find(std::string(i % 40, 'x') + std::to_string(i)).files, 1u);
  }
}

TEST(IdentifierTable, NamesOfEqualHashStayApart) {
  IdentifierTable table;
  table.add("a", 42, 1, 1);
  table.add("b", 42, 2, 2);
  table.add("a", 42, 1, 1);
  EXPECT_EQ(table.size(), 2u);
  std::set<std::string> seen;
  table.for_each([&](std::string_view name, std::uint64_t, std::uint32_t files, std::uint64_t) {
    EXPECT_EQ(files, 2u);
    seen.emplace(name);
  });
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b"}));
}

TEST(IdentifierTable, NamesWhoseHashesFallOnTheLastSlotWrapAround) {
  IdentifierTable table(8);
  constexpr std::uint64_t last = ~std::uint64_t{0};
  for (const char* name : {"a", "b", "c", "d"}) table.add(name, last, 1, 1);
  EXPECT_EQ(table.size(), 4u);
  table.add("c", last, 1, 1);
  EXPECT_EQ(table.size(), 4u);
}

TEST(IdentifierTable, HashOfEveryLengthDependsOnEveryByte) {
  std::set<std::uint64_t> hashes;
  std::size_t names = 0;
  for (std::size_t length = 1; length <= 40; ++length) {
    std::string name(length, 'a');
    hashes.insert(hash_name(name));
    ++names;
    for (char& c : name) {
      c = 'b';
      hashes.insert(hash_name(name));
      c = 'a';
      ++names;
    }
  }
  EXPECT_EQ(hashes.size(), names);
}

TEST(IdentifierTable, AddingInOrderOfHashToASmallTableTakesLinearTime) {
  IdentifierTable source;
  for (int i = 0; i < 400'000; ++i) source.count("name" + std::to_string(i), 0);
  IdentifierTable target(8);  // without reserve() this takes minutes
  target.reserve(source.size());
  source.for_each([&](std::string_view name, std::uint64_t hash, std::uint32_t files,
                      std::uint64_t occurrences) { target.add(name, hash, files, occurrences); });
  EXPECT_EQ(target.size(), source.size());
}

// --- batches ---

TEST(Batches, HoldEveryFileOnceAndAreOfSimilarSize) {
  std::vector<HeaderFile> files;
  std::mt19937 random(1);
  for (int i = 0; i < 5'000; ++i) files.push_back({"f" + std::to_string(i), random() % 50'000});
  files.push_back({"large", 30'000'000});
  const std::vector<Batch> batches = make_batches(files);
  std::multiset<std::string> seen;
  for (const Batch& batch : batches) {
    EXPECT_FALSE(batch.empty());
    seen.insert(batch.begin(), batch.end());
  }
  EXPECT_EQ(seen.size(), files.size());
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), files.size());
  EXPECT_GT(batches.size(), 200u);
  EXPECT_LT(batches.size(), 500u);
  EXPECT_EQ(batches.front(), Batch{"large"});
}

TEST(Batches, OfNothingAreNone) { EXPECT_TRUE(make_batches({}).empty()); }

TEST(Batches, OfEmptyFilesStillHoldThem) {
  const std::vector<HeaderFile> files = {{"a", 0}, {"b", 0}};
  EXPECT_EQ(make_batches(files), (std::vector<Batch>{{"a", "b"}}));
}

// --- the census ---

TEST(Census, CountsFilesBytesLinesTokensAndIdentifiers) {
  const TemporaryFolder folder;
  const Batch batch = {folder.write("a.h", "int alpha; // beta\nalpha\n"),
                       folder.write("b.h", "alpha gamma"), folder.write("empty.h")};
  const Census census = census_of({batch});
  EXPECT_EQ(census.totals().files, 3u);
  EXPECT_EQ(census.totals().bytes, 36u);
  EXPECT_EQ(census.totals().lines, 3u);  // the last has no newline, the empty file no line
  EXPECT_EQ(census.totals().all_tokens(), 6u);
  EXPECT_EQ(tokens(census, TokenKind::Comment), 1u);
  EXPECT_EQ(tokens(census, TokenKind::Keyword), 1u);
  EXPECT_EQ(census.top(9), (std::vector<IdentifierCount>{{"alpha", 2, 3}, {"gamma", 1, 1}}));
  EXPECT_TRUE(census.skipped().empty());
}

TEST(Census, IsTheSameHoweverTheFilesAreGroupedAndOrdered) {
  const TemporaryFolder folder;
  Batch all;
  for (int i = 0; i < 60; ++i) {
    std::string text;
    for (int j = 0; j <= i; ++j) text += "name" + std::to_string(j * i % 37) + " /* x */ 'c' ";
    all.push_back(folder.write("f" + std::to_string(i) + ".h", text));
  }
  const Census whole = census_of({all});
  std::vector<Batch> single;
  for (const std::string& path : all) single.push_back({path});
  std::ranges::shuffle(single, std::mt19937(2));
  EXPECT_EQ(census_of(single), whole);
  single.pop_back();
  EXPECT_FALSE(census_of(single) == whole);
}

TEST(Census, DiffersWhenOneCountDiffers) {
  const TemporaryFolder folder;
  const Census a = census_of({{folder.write("a.h", "x x y")}});
  const Census b = census_of({{folder.write("a.h", "x y y")}});
  EXPECT_EQ(a.totals(), b.totals());
  EXPECT_FALSE(a == b);
}

TEST(Census, TopOrdersByFilesThenOccurrencesThenName) {
  const TemporaryFolder folder;
  const Batch batch = {folder.write("a.h", "d d c b a"), folder.write("b.h", "c z")};
  const Census census = census_of({batch});
  EXPECT_EQ(census.top(4),
            (std::vector<IdentifierCount>{{"c", 2, 2}, {"d", 1, 2}, {"a", 1, 1}, {"b", 1, 1}}));
  EXPECT_TRUE(census.top(0).empty());
}

TEST(Census, SkipsBinaryFilesByTheirFirstKilobyteOnly) {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  const std::string early = folder.write("early.h", "x\0y"s);
  const std::string late = folder.write("late.h", std::string(1024, ' ') + "x\0y"s);
  const Census census = census_of({{early, late}});
  EXPECT_EQ(census.totals().files, 1u);
  EXPECT_EQ(census.totals().binary_files, 1u);
  ASSERT_EQ(census.skipped().size(), 1u);
  EXPECT_EQ(census.skipped()[0].path, early);
}

TEST(Census, NamesFilesThatVanishedOrCannotBeReadAndGoesOn) {
  const TemporaryFolder folder;
  const std::string good = folder.write("good.h", "x");
  const std::string gone = folder.path("gone.h");
  const std::string fifo = folder.path("fifo.h");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Census census = census_of({{gone, good, folder.path(), fifo}});
  EXPECT_EQ(census.totals().files, 1u);
  EXPECT_EQ(census.skipped(), (std::vector<SkippedFile>{{folder.path(), "Is a directory"},
                                                        {fifo, "Not a regular file"},
                                                        {gone, "No such file or directory"}}));
}

TEST(Census, ReadsFilesWhoseSizeIsUnknownBeforehand) {
  const Census census = census_of({{"/proc/self/status"}});  // said to have no bytes
  EXPECT_GT(census.totals().bytes, 100u);
  EXPECT_EQ(census.identifiers().find("VmPeak").files, 1u);
}

TEST(Census, APartialThatIsAddedKeepsNoReferenceToIt) {
  const TemporaryFolder folder;
  Census census;
  {
    Partial partial = count_batch({folder.write("a.h", "alpha")});
    census.add(partial);
    std::ranges::fill(partial.names, '#');
  }
  EXPECT_EQ(census.identifiers().find("alpha").occurrences, 1u);
}

}  // namespace
}  // namespace headers
