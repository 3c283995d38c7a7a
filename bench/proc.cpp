#include "proc.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>

namespace bench {

namespace {

namespace fs = std::filesystem;

std::string directory_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

// A process may end while it is looked at; it holds nothing then.
std::size_t entries(const std::string& path) {
  std::error_code error;
  std::size_t count = 0;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    ++count;
  return count;
}

std::size_t number_in_status(pid_t pid, const char* key) {
  std::ifstream status(directory_of(pid) + "/status");
  for (std::string word; status >> word;) {
    std::size_t number = 0;
    if (word == key && status >> number) return number;
  }
  return 0;
}

pid_t parent_of(pid_t pid) { return static_cast<pid_t>(number_in_status(pid, "PPid:")); }

}  // namespace

std::size_t threads_of(pid_t pid) { return entries(directory_of(pid) + "/task"); }

// Looking at one's own descriptors takes one.
std::size_t descriptors_of(pid_t pid) {
  std::size_t count = entries(directory_of(pid) + "/fd");
  return pid == ::getpid() && count > 0 ? count - 1 : count;
}

std::size_t resident_bytes(pid_t pid) { return number_in_status(pid, "VmRSS:") * 1024; }

std::size_t family_bytes() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", error)) {
    std::string target = fs::read_symlink(entry.path(), error).string();
    if (error || target.find("memfd:procession") == std::string::npos) continue;
    struct stat status {};
    if (::fstat(std::atoi(entry.path().filename().c_str()), &status) != 0) continue;
    return static_cast<std::size_t>(status.st_blocks) * 512;
  }
  return 0;
}

std::vector<pid_t> process_tree() {
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) children.emplace(parent_of(pid), pid);
  }
  std::vector<pid_t> tree{::getpid()};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    auto [first, last] = children.equal_range(tree[i]);
    for (auto it = first; it != last; ++it) tree.push_back(it->second);
  }
  return tree;
}

}  // namespace bench
