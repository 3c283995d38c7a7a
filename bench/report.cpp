#include "report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <ostream>
#include <stdexcept>

namespace bench {

namespace {

constexpr const char* line = "{:>3}  {:<44} {:>12} {:>12}  {:<28} {:>8} {:<15} {:<5} {:>7}\n";

std::string scaled(double value, std::initializer_list<std::pair<double, const char*>> units) {
  for (auto [size, name] : units) {
    if (value >= size) return fmt::format("{:.3g} {}", value / size, name);
  }
  return fmt::format("{:.3g}", value);
}

std::string show(double value, Unit unit) {
  switch (unit) {
    case Unit::Seconds:
      return scaled(value, {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}});
    case Unit::PerSecond:
      return scaled(value, {{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}});
    case Unit::Bytes:
      return scaled(value, {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {0.5, "B"}});
    case Unit::BytesPerSecond:
      return scaled(value, {{1 << 30, "GiB/s"}, {1 << 20, "MiB/s"}});
    case Unit::Count:
      return fmt::format("{:.0f}", value);
  }
  return {};
}

std::string show_ratio(const Row& row) {
  if (row.against.empty() || row.failed) return "-";
  double ratio = row.ratio();
  return ratio >= 100 ? fmt::format("{:.0f}", ratio) : fmt::format("{:.3g}", ratio);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

const char* name_of(Unit unit) {
  switch (unit) {
    case Unit::Seconds:
      return "seconds";
    case Unit::PerSecond:
      return "per second";
    case Unit::Bytes:
      return "bytes";
    case Unit::BytesPerSecond:
      return "bytes per second";
    case Unit::Count:
      return "count";
  }
  return "";
}

}  // namespace

void print_header(std::ostream& out) {
  out << fmt::format(line, "#", "what", "ours", "theirs", "floor or peer", "ratio", "target",
                     "holds", "spread")
      << std::string(142, '-') << '\n';
}

void print_row(std::ostream& out, const Row& row) {
  const char* holds = row.holds() ? "yes" : row.has_target() || row.failed ? "no" : "-";
  out << fmt::format(line, row.number, row.what, row.failed ? "-" : show(row.ours.value, row.unit),
                     row.against.empty() || row.failed ? "-" : show(row.theirs.value, row.unit),
                     row.against, show_ratio(row), row.target.text, holds,
                     row.failed ? "-" : fmt::format("{:.1f} %", 100 * row.ratio_spread));
  if (!row.note.empty()) out << "     " << row.note << '\n';
  out.flush();
}

void print_end(std::ostream& out, const Rows& rows) {
  auto met = std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.holds(); });
  auto judged = std::count_if(rows.begin(), rows.end(),
                              [](const Row& row) { return row.has_target() || row.failed; });
  out << fmt::format(
      "\n{} of {} targets hold. Spread: half the distance of the quartiles of the ratio.\n", met,
      judged);
}

void write_json(const std::string& path, const Rows& rows, bool quick) {
  std::ofstream out(path);
  out << fmt::format("{{\n  \"quick\": {},\n  \"cpus\": {},\n  \"rows\": [", quick,
                     ::sysconf(_SC_NPROCESSORS_ONLN));
  const char* separator = "\n";
  for (const Row& row : rows) {
    out << separator
        << fmt::format(
               "    {{\"number\": {}, \"what\": {}, \"unit\": \"{}\", \"ours\": {}, "
               "\"ours_spread\": {}, \"against\": {}, \"theirs\": {}, \"theirs_spread\": {}, "
               "\"ratio\": {}, \"ratio_spread\": {}, \"at_least\": {}, \"bound\": {}, "
               "\"target\": {}, \"holds\": {}, \"failed\": {}, \"note\": {}}}",
               row.number, quoted(row.what), name_of(row.unit), row.ours.value, row.ours.spread,
               quoted(row.against), row.theirs.value, row.theirs.spread, row.ratio(),
               row.ratio_spread, row.target.at_least, row.target.bound, quoted(row.target.text),
               row.holds(), row.failed, quoted(row.note));
    separator = ",\n";
  }
  out << "\n  ]\n}\n";
  out.flush();
  if (!out) throw std::runtime_error("cannot write " + path);
}

}  // namespace bench
