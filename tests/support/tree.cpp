#include "support/tree.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>
#include <unordered_set>

namespace procession::test_support {
namespace {

// Empty when the process has gone meanwhile. Not a stream: those throw when a read fails.
std::string read_file(const std::string& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char part[4096];
  for (ssize_t got; (got = ::read(file, part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(got));
  }
  ::close(file);
  return text;
}

std::optional<ProcessEntry> read_entry(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  // The name may hold spaces and brackets: it ends at the last bracket.
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ProcessEntry entry;
  entry.pid = pid;
  entry.command = stat.substr(open + 1, close - open - 1);
  std::istringstream rest(stat.substr(close + 1));
  rest >> entry.state >> entry.parent;
  constexpr int fields_before_start = 17;  // fields 5 to 21 of proc(5)
  std::string skipped;
  for (int field = 0; field < fields_before_start; ++field) rest >> skipped;
  if (!(rest >> entry.started)) return std::nullopt;
  return entry;
}

}  // namespace

std::vector<ProcessEntry> all_processes() {
  std::vector<ProcessEntry> all;
  std::error_code error;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = folder.path().filename();
    pid_t pid = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (problem != std::errc{} || end != name.data() + name.size()) continue;
    if (auto entry = read_entry(pid)) all.push_back(std::move(*entry));
  }
  return all;
}

std::vector<ProcessEntry> descendants(const std::vector<ProcessEntry>& all, pid_t ancestor) {
  std::vector<ProcessEntry> found;
  std::unordered_set<pid_t> family{ancestor};
  // Pids are in no order of descent, so look again until nothing is added.
  for (bool grew = true; grew;) {
    grew = false;
    for (const ProcessEntry& process : all) {
      if (family.contains(process.pid) || !family.contains(process.parent)) continue;
      family.insert(process.pid);
      found.push_back(process);
      grew = true;
    }
  }
  return found;
}

std::string describe(const ProcessEntry& process) {
  std::string line = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
  while (!line.empty() && line.back() == '\0') line.pop_back();
  std::replace(line.begin(), line.end(), '\0', ' ');
  return line.empty() ? process.command : line;
}

}  // namespace procession::test_support
