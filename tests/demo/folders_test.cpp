#include "folders.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace headers {
namespace {

Folders find(std::vector<std::string> arguments) { return find_headers(arguments); }

std::vector<std::string> names(const TemporaryFolder& folder, const Folders& found) {
  std::vector<std::string> relative;
  for (const HeaderFile& file : found.files) {
    relative.push_back(file.path.substr(folder.path().size() + 1));
  }
  return relative;
}

TEST(Folders, HeaderNamesAreKnownByTheirEnding) {
  for (const char* name :
       {"a.h", "a.H", "a.hh", "a.hpp", "a.hxx", "a.h++", "a.inl", "a.ipp", "a.tcc", "a.b.h"}) {
    EXPECT_TRUE(is_header_name(name, false)) << name;
  }
  for (const char* name :
       {"a.c", "a.cpp", "a.inc", "a.def", "h", "a", ".h", "a.h~", "a.h.in", ""}) {
    EXPECT_FALSE(is_header_name(name, false)) << name;
  }
  EXPECT_TRUE(is_header_name("vector", true));
  EXPECT_FALSE(is_header_name("README.md", true));
}

TEST(Folders, FilesAreFoundAtAnyDepthInOrderOfPathWithTheirSizes) {
  const TemporaryFolder folder;
  folder.write("z.h", "12345");
  folder.write("a/b/c/d.hpp");
  folder.write("a/readme.txt");
  const Folders found = find({folder.path()});
  EXPECT_EQ(names(folder, found), (std::vector<std::string>{"a/b/c/d.hpp", "z.h"}));
  EXPECT_EQ(found.files[1].bytes, 5u);
  EXPECT_TRUE(found.problems.empty());
  EXPECT_EQ(found.usable, 1u);
}

TEST(Folders, StandardHeadersWithoutAnEndingCountBelowAFolderNamedCpp) {
  const TemporaryFolder folder;
  folder.write("c++/12/vector");
  folder.write("c++/12/debug/map");
  folder.write("other/vector");
  const std::vector<std::string> expected = {"c++/12/debug/map", "c++/12/vector"};
  EXPECT_EQ(names(folder, find({folder.path()})), expected);
  EXPECT_EQ(names(folder, find({folder.path("c++/12")})), expected);
}

TEST(Folders, AFileInPlaceOfAFolderIsTakenWhateverItsName) {
  const TemporaryFolder folder;
  const std::string file = folder.write("main.cpp");
  const Folders found = find({file});
  EXPECT_EQ(names(folder, found), std::vector<std::string>{"main.cpp"});
  EXPECT_EQ(found.usable, 1u);
}

TEST(Folders, AMissingFolderIsAProblemAndTheOthersAreRead) {
  const TemporaryFolder folder;
  folder.write("a.h");
  const Folders found = find({folder.path("missing"), folder.path()});
  EXPECT_EQ(names(folder, found), std::vector<std::string>{"a.h"});
  EXPECT_EQ(found.problems,
            (std::vector<SkippedFile>{{folder.path("missing"), "No such file or directory"}}));
  EXPECT_EQ(found.usable, 1u);
}

TEST(Folders, NothingUsableIsSaid) {
  EXPECT_EQ(find({"/nonexistent/a", "/dev/null"}).usable, 0u);
  EXPECT_EQ(find({}).usable, 0u);
}

TEST(Folders, AnUnreadableFolderIsAProblem) {
  const TemporaryFolder folder;
  folder.write("closed/a.h");
  folder.write("open/b.h");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(folder.path("closed").c_str(), 0), 0);
  const bool root = ::geteuid() == 0;  // root reads everything: be somebody else meanwhile
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const Folders found = find({folder.path()});
  const Folders closed = find({folder.path("closed")});
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_EQ(::chmod(folder.path("closed").c_str(), 0700), 0);
  EXPECT_EQ(names(folder, found), std::vector<std::string>{"open/b.h"});
  EXPECT_EQ(found.problems,
            (std::vector<SkippedFile>{{folder.path("closed"), "Permission denied"}}));
  EXPECT_EQ(closed.usable, 0u);
}

TEST(Folders, ALoopOfLinksEndsAndIsReported) {
  const TemporaryFolder folder;
  folder.write("a/b/x.h");
  std::filesystem::create_directory_symlink(folder.path("a"), folder.path("a/b/up"));
  std::filesystem::create_symlink("self", folder.path("self"));
  const Folders found = find({folder.path()});
  EXPECT_EQ(names(folder, found), std::vector<std::string>{"a/b/x.h"});
  ASSERT_EQ(found.problems.size(), 2u);
  EXPECT_EQ(found.problems[0].path, folder.path("self"));
  EXPECT_EQ(found.problems[1].path, folder.path("a/b/up"));
}

TEST(Folders, EachFileCountsOnceHoweverManyWaysLeadToIt) {
  const TemporaryFolder folder;
  folder.write("a/x.h");
  std::filesystem::create_symlink("x.h", folder.path("a/y.h"));
  std::filesystem::create_hard_link(folder.path("a/x.h"), folder.path("a/z.h"));
  std::filesystem::create_directory_symlink(folder.path("a"), folder.path("b"));
  const Folders found = find({folder.path(), folder.path("a"), folder.path("b")});
  EXPECT_EQ(found.files.size(), 1u);
  EXPECT_TRUE(found.problems.empty());
  EXPECT_EQ(found.usable, 3u);
}

TEST(Folders, LinksToOtherFoldersAreFollowed) {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  elsewhere.write("x.h");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.path("link"));
  EXPECT_EQ(names(folder, find({folder.path()})), std::vector<std::string>{"link/x.h"});
}

TEST(Folders, ADanglingLinkIsAProblemOnlyWhereAHeaderWasExpected) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("nowhere", folder.path("a.h"));
  std::filesystem::create_symlink("nowhere", folder.path("a.txt"));
  const Folders found = find({folder.path()});
  EXPECT_EQ(found.problems,
            (std::vector<SkippedFile>{{folder.path("a.h"), "No such file or directory"}}));
}

}  // namespace
}  // namespace headers
