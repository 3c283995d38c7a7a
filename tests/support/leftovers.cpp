#include "support/leftovers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "support/child.hpp"
#include "support/supervisor.hpp"

namespace procession::detail {
// The library's own answers. Weak: a program that holds neither has no services.
[[gnu::weak]] std::vector<pid_t> service_processes();
[[gnu::weak]] std::vector<int> service_descriptors();
}  // namespace procession::detail

namespace procession::test_support {
namespace {

constexpr std::chrono::seconds end_of_orphan{2};

Services& services() {
  static Services current{[] {
                            return &detail::service_processes != nullptr
                                       ? detail::service_processes()
                                       : std::vector<pid_t>{};
                          },
                          [] {
                            return &detail::service_descriptors != nullptr
                                       ? detail::service_descriptors()
                                       : std::vector<int>{};
                          }};
  return current;
}

template <class T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// The topmost process that belongs to this test.
pid_t top_process() { return supervisor_pid() != 0 ? supervisor_pid() : ::getpid(); }

std::vector<ProcessEntry> family() { return descendants(all_processes(), top_process()); }

std::string link_target(const std::string& path) {
  char target[4096];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length < 0 ? std::string() : std::string(target, static_cast<std::size_t>(length));
}

std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> found;
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* entry = ::readdir(folder)) {
    const int descriptor = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || descriptor == ::dirfd(folder)) continue;
    found[descriptor] = link_target(std::string("/proc/self/fd/") + entry->d_name);
  }
  ::closedir(folder);
  return found;
}

template <class Wanted>
void add_names(std::set<std::string>& names, const std::string& folder, Wanted wanted) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    struct stat status {};
    const std::string path = entry.path();
    if (::lstat(path.c_str(), &status) != 0 || status.st_uid != ::geteuid()) continue;
    if (wanted(entry.path().filename().string())) names.insert(path);
  }
}

std::set<std::string> present_names() {
  std::set<std::string> names;
  add_names(names, "/dev/shm", [](const std::string&) { return true; });
  add_names(names, "/tmp", [](const std::string& name) {
    return name.starts_with("procession") && !name.starts_with(temporary_folder_prefix);
  });
  const std::string own = temporary_folder();
  if (!own.empty()) add_names(names, own, [](const std::string&) { return true; });
  return names;
}

// The numbers in a file's name: one of them may be the pid of who made it.
std::vector<pid_t> numbers_in(const std::string& path) {
  std::vector<pid_t> numbers;
  const char* const end = path.data() + path.size();
  for (const char* at = path.data() + path.rfind('/') + 1; at != end;) {
    pid_t number = 0;
    const bool digit = *at >= '0' && *at <= '9';
    const char* const after = digit ? std::from_chars(at, end, number).ptr : at + 1;
    if (number > 0) numbers.push_back(number);
    at = after;
  }
  return numbers;
}

bool process_uses(pid_t pid, const std::string& path) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::ifstream maps(folder + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path)) return true;
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/fd", error)) {
    if (link_target(entry.path()) == path) return true;
  }
  return false;
}

// Tests run beside other tests and other programs: what one of those made or uses is not ours.
bool belongs_to_a_stranger(const std::string& path) {
  const auto all = all_processes();
  const auto ours = family();
  const auto numbers = numbers_in(path);
  return std::any_of(all.begin(), all.end(), [&](const ProcessEntry& process) {
    const bool is_ours = process.pid == top_process() ||
                         std::any_of(ours.begin(), ours.end(),
                                     [&](const auto& one) { return one.pid == process.pid; });
    return !is_ours && (contains(numbers, process.pid) || process_uses(process.pid, path));
  });
}

// Blocks until `pid` has ended (POLLIN) or was reaped (0); false when that takes too long.
bool wait_gone(pid_t pid, short events) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return true;
  const bool gone = wait_for(pidfd, events, Deadline(end_of_orphan));
  ::close(pidfd);
  return gone;
}

// What is expected to end, or to be reaped, without the help of this process: orphans, which the
// supervisor adopts, and ended children of a service. A child of ours is for us to wait for.
bool ends_by_itself(const ProcessEntry& process, const std::vector<pid_t>& service) {
  if (process.parent == ::getpid()) return false;
  if (process.parent == supervisor_pid()) return wait_gone(process.pid, POLLIN);
  if (!process.ended()) return false;
  // The parent of an ended process is itself in the list, unless it is a service.
  return !contains(service, process.parent) || wait_gone(process.pid, 0);
}

void end_process(const ProcessEntry& process) {
  ::kill(process.pid, SIGKILL);
  if (process.parent == ::getpid()) ::waitpid(process.pid, nullptr, 0);
}

}  // namespace

void set_services(Services replacement) { services() = std::move(replacement); }

Snapshot Snapshot::take() {
  Snapshot snapshot;
  snapshot.processes_ = family();
  snapshot.service_descriptors_ = services().descriptors();
  snapshot.descriptors_ = open_descriptors();
  snapshot.names_ = present_names();
  return snapshot;
}

std::vector<std::string> Snapshot::leftovers(bool remove) const {
  std::vector<std::string> found;
  check_processes(found, remove);
  check_descriptors(found);
  check_names(found);
  return found;
}

void Snapshot::check_processes(std::vector<std::string>& found, bool remove) const {
  const auto service = services().processes();
  for (const ProcessEntry& process : family()) {
    if (process.pid == ::getpid() || contains(service, process.pid)) continue;
    const bool known = std::any_of(processes_.begin(), processes_.end(), [&](const auto& before) {
      return before.same_process(process);
    });
    if (known || ends_by_itself(process, service)) continue;
    found.push_back("left behind: process " + std::to_string(process.pid) + " (" +
                    describe(process) + "), " +
                    (process.ended() ? "ended but not waited for"
                                     : "child of " + std::to_string(process.parent)));
    if (remove) end_process(process);
  }
}

void Snapshot::check_descriptors(std::vector<std::string>& found) const {
  const auto service = services().descriptors();
  const auto now = open_descriptors();
  const auto is_service = [&](int descriptor) {
    return contains(service, descriptor) || contains(service_descriptors_, descriptor);
  };
  for (const auto& [descriptor, target] : now) {
    const auto before = descriptors_.find(descriptor);
    if (is_service(descriptor)) continue;
    if (before != descriptors_.end() && before->second == target) continue;
    found.push_back("left behind: descriptor " + std::to_string(descriptor) + " -> " + target);
  }
  for (const auto& [descriptor, target] : descriptors_) {
    if (is_service(descriptor) || now.contains(descriptor)) continue;
    found.push_back("closed, but open before the test: descriptor " + std::to_string(descriptor) +
                    " -> " + target);
  }
}

void Snapshot::check_names(std::vector<std::string>& found) const {
  for (const std::string& path : present_names()) {
    if (names_.contains(path) || belongs_to_a_stranger(path)) continue;
    // A stranger may have removed it, and gone, since it was listed.
    if (::access(path.c_str(), F_OK) == 0) found.push_back("left behind: " + path);
  }
}

}  // namespace procession::test_support
