// Counts tokens and identifiers over many files. Nothing here knows of processes: a batch of files
// becomes a Partial by a pure function, and a Census adds up Partials in any order.
//
// Example:
//   Census census;
//   for (const Batch& batch : make_batches(files)) census.add(count_batch(batch));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identifier_table.hpp"
#include "token.hpp"

namespace headers {

struct HeaderFile {
  std::string path;
  std::uint64_t bytes = 0;
};

using Batch = std::vector<std::string>;  // the paths of the files to read

// Cuts `files` into batches of about equal work, largest first. Neighbours stay together: files of
// one folder share their identifiers, which keeps the partial results small.
std::vector<Batch> make_batches(std::span<const HeaderFile> files);

struct Totals {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t lines = 0;
  std::uint64_t binary_files = 0;  // left out: a NUL byte in the first KiB
  std::array<std::uint64_t, token_kinds> tokens{};

  std::uint64_t all_tokens() const noexcept;  // comments are not tokens
  Totals& operator+=(const Totals& other) noexcept;
  friend bool operator==(const Totals&, const Totals&) = default;
};

struct SkippedFile {
  std::string path;
  std::string reason;
  friend auto operator<=>(const SkippedFile&, const SkippedFile&) = default;
};

// What one batch gave, laid out to travel: names back to back, a record for each, nearly in order
// of hash.
struct Partial {
  struct Record {
    std::uint64_t hash = 0;
    std::uint64_t occurrences = 0;
    std::uint32_t files = 0;
    std::uint32_t length = 0;  // of the name, which follows those of the records before
  };
  Totals totals;
  std::vector<Record> records;
  std::string names;
  std::vector<SkippedFile> skipped;
};

// Reads the files of `batch` and counts. A file that cannot be read is in `skipped`, never an
// exception. Touches no state outside: it may be run again, anywhere, after it was cut short.
Partial count_batch(const Batch& batch);

// Counts one source that is in memory already. `file` numbers the files of one table.
void count_source(std::string_view source, std::uint32_t file, IdentifierTable& identifiers,
                  Totals& totals);

// Not thread-safe.
class Census {
 public:
  Census();
  void add(const Partial& partial);

  const Totals& totals() const noexcept { return totals_; }
  const IdentifierTable& identifiers() const noexcept { return identifiers_; }
  std::vector<SkippedFile> skipped() const;  // by path

  // The `count` identifiers of most files; of those in equally many, the more frequent first, then
  // by name. The names point into the census.
  std::vector<IdentifierCount> top(std::size_t count) const;

  // The same files, totals and counts of every identifier, whatever the order of adding.
  friend bool operator==(const Census& a, const Census& b);

 private:
  Totals totals_;
  IdentifierTable identifiers_;
  std::vector<SkippedFile> skipped_;
};

}  // namespace headers
