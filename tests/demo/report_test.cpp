#include "report.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include "format.hpp"

namespace headers {
namespace {

using namespace std::chrono_literals;

TEST(Format, NumbersAsPeopleReadThem) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(12'345'678), "12,345,678");
  EXPECT_EQ(counted(1, "file"), "1 file");
  EXPECT_EQ(counted(0, "file"), "0 files");
  EXPECT_EQ(byte_size(999), "999 B");
  EXPECT_EQ(byte_size(1'500), "1.5 kB");
  EXPECT_EQ(byte_size(999'999), "1.0 MB");
  EXPECT_EQ(duration(850us), "850 us");
  EXPECT_EQ(duration(1200us), "1.2 ms");
  EXPECT_EQ(duration(3400ms), "3.40 s");
}

TEST(Format, ColumnsCountCharactersNotBytes) {
  EXPECT_EQ(left_aligned("größe", 7), "größe  ");
  EXPECT_EQ(right_aligned("größe", 7), "  größe");
  EXPECT_EQ(left_aligned("größer", 4), "grö…");
  EXPECT_EQ(left_aligned("größ", 4), "größ");
}

TEST(Format, ControlCharactersOfAPathAreReplaced) {
  EXPECT_EQ(printable("a\033[1m\nb\x7F"), "a?[1m?b?");
}

Run run(std::chrono::nanoseconds elapsed, std::size_t workers) {
  Run run;
  run.elapsed = elapsed;
  run.workers.resize(workers);
  return run;
}

TEST(Report, SaysTheSpeedUpAndWhetherTheResultsAreTheSame) {
  std::ostringstream same;
  Report(same, false).speed(run(1s, 2), run(1860ms, 0), true);
  EXPECT_NE(same.str().find("1.86 x"), std::string::npos);
  EXPECT_NE(same.str().find("same totals"), std::string::npos);
  std::ostringstream other;
  Report(other, false).speed(run(1s, 2), run(1s, 0), false);
  EXPECT_NE(other.str().find("the results differ"), std::string::npos);
}

TEST(Report, SaysHowManyWorkersWereKilledAndTasksRetried) {
  std::ostringstream out;
  headers::Run chaos = run(1s, 2);
  chaos.chaos = Chaos{17, 1};
  Report(out, false).speed(chaos);
  EXPECT_NE(out.str().find("17 workers killed by SIGKILL, 1 task retried"), std::string::npos);
}

TEST(Report, HasNoEscapesWithoutColours) {
  Census census;
  Partial partial;
  partial.totals.files = 1;
  partial.records.push_back({hash_name("x"), 3, 1, 1});
  partial.names = "x";
  census.add(partial);
  const std::vector<WorkerLine> workers(20);
  const auto print = [&](bool colours) {
    std::ostringstream out;
    Report report(out, colours);
    report.identifiers(census, 12);
    report.totals(census.totals(), 1);
    report.workers(workers);
    report.speed(run(1s, 2), run(2s, 0), true);
    return out.str();
  };
  EXPECT_EQ(print(false).find('\033'), std::string::npos);
  EXPECT_NE(print(true).find('\033'), std::string::npos);
  EXPECT_NE(print(false).find("and 12 more"), std::string::npos);
}

TEST(Report, NamesSkippedFilesWhenFewAndCountsTheRest) {
  std::vector<SkippedFile> skipped = {{"gone.h", "No such file or directory"}};
  for (int i = 0; i < 30; ++i) skipped.push_back({std::to_string(i) + ".h", "binary"});
  std::ostringstream out;
  report_skipped(out, skipped);
  EXPECT_NE(out.str().find("skipped gone.h: No such file"), std::string::npos);
  EXPECT_NE(out.str().find("skipped 3.h: binary"), std::string::npos);
  EXPECT_EQ(out.str().find("skipped 4.h"), std::string::npos);
  EXPECT_NE(out.str().find("skipped 26 more: binary"), std::string::npos);
}

}  // namespace
}  // namespace headers
