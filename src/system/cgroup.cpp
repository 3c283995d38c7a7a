// CPU quotas of cgroups, v1 and v2.
//
// A quota holds for everything below the cgroup that has it, so the tightest one between ours and
// the mount point counts. What lies above the mount point (in a container) cannot be seen.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "system/cpu.hpp"

namespace procession::detail {
namespace {

// One place where a hierarchy that limits CPU time is mounted: `root` within the hierarchy is what
// is seen at `point`.
struct CgroupMount {
  std::string root;
  std::string point;
};

// Whether `list`, separated by commas, has `item`.
bool lists(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == item) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

// "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 cgroup rw,nsdelegate"
std::optional<CgroupMount> find_mount(std::string_view mounts, bool version2) {
  std::istringstream lines{std::string(mounts)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream tail(line.substr(dash + 3));
    std::string type, source, options;
    tail >> type >> source >> options;
    if (version2 ? type != "cgroup2" : type != "cgroup" || !lists(options, "cpu")) continue;
    std::istringstream head(line);
    std::string id, parent, device;
    CgroupMount mount;
    head >> id >> parent >> device >> mount.root >> mount.point;
    return mount;
  }
  return std::nullopt;
}

// "4:cpu,cpuacct:/a/b" (v1), "0::/a/b" (v2)
std::optional<std::string> find_cgroup(std::string_view cgroups, bool version2) {
  std::istringstream lines{std::string(cgroups)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool right =
        version2 ? controllers.empty() && line.starts_with("0:") : lists(controllers, "cpu");
    if (right) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The folder of `cgroup` below the mount point: "" or "/a/b". A cgroup outside of what is mounted
// is looked for at the mount point itself.
std::string below_mount(const std::string& cgroup, const std::string& root) {
  std::string path = cgroup;
  if (root != "/") {
    const bool inside =
        cgroup.starts_with(root) && (cgroup.size() == root.size() || cgroup[root.size()] == '/');
    path = inside ? cgroup.substr(root.size()) : std::string();
  }
  if (path.starts_with("/..") || path == "/") path.clear();
  return path;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

std::string first_word(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

std::optional<int> quota_of(const std::string& folder, bool version2) {
  std::string quota_text, period_text;
  if (version2) {
    std::ifstream(folder + "/cpu.max") >> quota_text >> period_text;  // "max 100000": no quota
  } else {
    quota_text = first_word(folder + "/cpu.cfs_quota_us");  // -1: no quota
    period_text = first_word(folder + "/cpu.cfs_period_us");
  }
  const auto quota = parse_number(quota_text);
  const auto period = parse_number(period_text);
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  const std::int64_t cpus = *quota / *period + (*quota % *period != 0 ? 1 : 0);
  return static_cast<int>(std::min<std::int64_t>(cpus, 1 << 20));
}

std::optional<int> smaller(std::optional<int> a, std::optional<int> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::optional<int> tightest_quota(std::string_view cgroups, std::string_view mounts,
                                  const std::string& root, bool version2) {
  const auto mount = find_mount(mounts, version2);
  const auto cgroup = find_cgroup(cgroups, version2);
  if (!mount || !cgroup) return std::nullopt;
  std::optional<int> tightest;
  std::string below = below_mount(*cgroup, mount->root);
  for (;;) {
    tightest = smaller(tightest, quota_of(root + mount->point + below, version2));
    if (below.empty()) return tightest;
    below.erase(below.rfind('/'));
  }
}

}  // namespace

std::optional<int> cgroup_cpu_quota(std::string_view cgroups, std::string_view mounts,
                                    const std::string& root) {
  return smaller(tightest_quota(cgroups, mounts, root, true),
                 tightest_quota(cgroups, mounts, root, false));
}

}  // namespace procession::detail
