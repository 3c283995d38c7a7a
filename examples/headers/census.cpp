#include "census.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "source_file.hpp"
#include "tokenizer.hpp"

namespace headers {
namespace {

// Opening a file costs about as much as tokenising this many bytes.
constexpr std::uint64_t bytes_per_file = 8 << 10;
// Enough batches that a lost one is a small loss and the last one ends soon; few enough that most
// names of a batch are counted many times before they travel.
constexpr std::uint64_t wanted_batches = 400;
constexpr std::uint64_t smallest_batch = 128 << 10;

std::uint64_t cost(const HeaderFile& file) noexcept { return file.bytes + bytes_per_file; }

std::uint64_t count_lines(std::string_view source) noexcept {
  const auto newlines = std::count(source.begin(), source.end(), '\n');
  const bool open_end = !source.empty() && source.back() != '\n';
  return static_cast<std::uint64_t>(newlines) + (open_end ? 1 : 0);
}

}  // namespace

std::vector<Batch> make_batches(std::span<const HeaderFile> files) {
  const std::uint64_t total =
      std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const HeaderFile& file) { return sum + cost(file); });
  const std::uint64_t target = std::max(smallest_batch, total / wanted_batches);

  std::vector<std::pair<std::uint64_t, Batch>> weighed;
  std::uint64_t weight = target;
  for (const HeaderFile& file : files) {
    // A file that would overfill the batch begins the next one.
    if (weight >= target || weight + cost(file) > 2 * target) {
      weighed.emplace_back();
      weight = 0;
    }
    weight += cost(file);
    weighed.back().first = weight;
    weighed.back().second.push_back(file.path);
  }
  std::ranges::stable_sort(weighed, std::greater{}, &std::pair<std::uint64_t, Batch>::first);

  std::vector<Batch> batches;
  batches.reserve(weighed.size());
  for (auto& entry : weighed) batches.push_back(std::move(entry.second));
  return batches;
}

std::uint64_t Totals::all_tokens() const noexcept {
  const auto comments = tokens[static_cast<std::size_t>(TokenKind::Comment)];
  return std::accumulate(tokens.begin(), tokens.end(), std::uint64_t{0}) - comments;
}

Totals& Totals::operator+=(const Totals& other) noexcept {
  files += other.files;
  bytes += other.bytes;
  lines += other.lines;
  binary_files += other.binary_files;
  for (std::size_t i = 0; i < token_kinds; ++i) tokens[i] += other.tokens[i];
  return *this;
}

void count_source(std::string_view source, std::uint32_t file, IdentifierTable& identifiers,
                  Totals& totals) {
  ++totals.files;
  totals.bytes += source.size();
  totals.lines += count_lines(source);
  Tokenizer tokenizer(source);
  for (Token token; tokenizer.next(token);) {
    ++totals.tokens[static_cast<std::size_t>(token.kind)];
    if (token.kind == TokenKind::Identifier) identifiers.count(token.text, file);
  }
}

Partial count_batch(const Batch& batch) {
  Partial partial;
  IdentifierTable identifiers(4096);
  SourceReader reader;
  std::uint32_t file = 0;
  for (const std::string& path : batch) {
    const std::string_view source = reader.read(path.c_str());
    if (!reader.error().empty()) {
      partial.skipped.push_back({path, reader.error()});
    } else if (looks_binary(source)) {
      ++partial.totals.binary_files;
      partial.skipped.push_back({path, "binary: a NUL byte in its first KiB"});
    } else {
      count_source(source, file++, identifiers, partial.totals);
    }
  }
  partial.records.reserve(identifiers.size());
  identifiers.for_each([&](std::string_view name, std::uint64_t hash, std::uint32_t files,
                           std::uint64_t occurrences) {
    partial.records.push_back({hash, occurrences, files, static_cast<std::uint32_t>(name.size())});
    partial.names.append(name);
  });
  return partial;
}

Census::Census() : identifiers_(1 << 16) {}

void Census::add(const Partial& partial) {
  totals_ += partial.totals;
  skipped_.insert(skipped_.end(), partial.skipped.begin(), partial.skipped.end());
  identifiers_.reserve(partial.records.size());
  std::string_view names = partial.names;
  for (const Partial::Record& record : partial.records) {
    identifiers_.add(names.substr(0, record.length), record.hash, record.files, record.occurrences);
    names.remove_prefix(record.length);
  }
}

std::vector<SkippedFile> Census::skipped() const {
  std::vector<SkippedFile> sorted = skipped_;
  std::ranges::sort(sorted);
  return sorted;
}

std::vector<IdentifierCount> Census::top(std::size_t count) const {
  std::vector<IdentifierCount> all;
  all.reserve(identifiers_.size());
  identifiers_.for_each(
      [&](std::string_view name, std::uint64_t, std::uint32_t files, std::uint64_t occurrences) {
        all.push_back({name, files, occurrences});
      });
  const auto before = [](const IdentifierCount& a, const IdentifierCount& b) {
    if (a.files != b.files) return a.files > b.files;
    if (a.occurrences != b.occurrences) return a.occurrences > b.occurrences;
    return a.name < b.name;
  };
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size()));
  std::partial_sort(all.begin(), middle, all.end(), before);
  all.erase(middle, all.end());
  return all;
}

bool operator==(const Census& a, const Census& b) {
  if (a.totals_ != b.totals_ || a.identifiers_.size() != b.identifiers_.size()) return false;
  if (a.skipped() != b.skipped()) return false;
  bool same = true;
  a.identifiers_.for_each(
      [&](std::string_view name, std::uint64_t, std::uint32_t files, std::uint64_t occurrences) {
        same = same && b.identifiers_.find(name) == IdentifierCount{name, files, occurrences};
      });
  return same;
}

}  // namespace headers
