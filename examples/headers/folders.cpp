#include "folders.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

namespace headers {
namespace {

using Identity = std::pair<dev_t, ino_t>;

constexpr std::array<std::string_view, 12> endings = {
    ".h", ".H", ".hh", ".hp", ".hpp", ".hxx", ".h++", ".inl", ".ipp", ".tcc", ".tpp", ".txx"};

std::string message(int error) { return std::generic_category().message(error); }

std::string joined(const std::string& folder, std::string_view name) {
  std::string path = folder;
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

// A folder to look through. `around` holds it and the folders around it, by identity.
struct Folder {
  std::string path;
  bool standard_library = false;
  std::shared_ptr<const std::set<Identity>> around;
};

class Walk {
 public:
  void argument(const std::string& path);
  Folders finish() &&;

 private:
  void walk();
  bool list(const Folder& folder);
  void entry(const Folder& folder, const std::string& name);
  void enter(std::string path, const struct stat& status, const Folder* parent, bool standard);
  void file(std::string path, const struct stat& status);
  void problem(const std::string& path, std::string reason) {
    found_.problems.push_back({path, std::move(reason)});
  }

  Folders found_;
  std::vector<Folder> pending_;  // a stack of its own: trees may be deeper than ours
  std::set<Identity> folders_seen_;
  std::set<Identity> files_seen_;
};

// The folders of a C++ standard library lie below one named "c++".
bool names_standard_library(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr),
                                                        [](void* p) { ::free(p); });
  const std::string whole = (resolved ? std::string(resolved.get()) : path) + '/';
  return whole.find("/c++/") != std::string::npos;
}

void Walk::argument(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return problem(path, message(errno));
  if (!S_ISDIR(status.st_mode)) {
    if (!S_ISREG(status.st_mode)) return problem(path, "Not a file or folder");
    ++found_.usable;
    return file(path, status);
  }
  enter(path, status, nullptr, names_standard_library(path));
  if (pending_.empty()) {  // inside a folder that was looked through already
    ++found_.usable;
    return;
  }
  walk();
}

void Walk::walk() {
  bool top = true;
  while (!pending_.empty()) {
    const Folder folder = std::move(pending_.back());
    pending_.pop_back();
    const bool readable = list(folder);
    if (top && readable) ++found_.usable;
    top = false;
  }
}

bool Walk::list(const Folder& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.path.c_str()), ::closedir);
  if (!listing) {
    problem(folder.path, message(errno));
    return false;
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* next = ::readdir(listing.get());
    if (next == nullptr) break;
    const std::string_view name = next->d_name;
    if (name == "." || name == "..") continue;
    const bool plain = next->d_type == DT_REG;
    if (!plain || is_header_name(name, folder.standard_library)) names.emplace_back(name);
  }
  if (errno != 0) problem(folder.path, message(errno));
  // Sorted, so that which of several ways to a file counts does not depend on the file system.
  std::ranges::sort(names);
  for (const std::string& name : names) entry(folder, name);
  return true;
}

void Walk::entry(const Folder& folder, const std::string& name) {
  std::string path = joined(folder.path, name);
  const bool header = is_header_name(name, folder.standard_library);
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    // A link that leads nowhere matters only where a header was expected, a loop always.
    if (header || errno == ELOOP) problem(path, message(errno));
    return;
  }
  if (S_ISDIR(status.st_mode)) {
    enter(std::move(path), status, &folder, folder.standard_library || name == "c++");
  } else if (S_ISREG(status.st_mode) && header) {
    file(std::move(path), status);
  }
}

void Walk::enter(std::string path, const struct stat& status, const Folder* parent, bool standard) {
  const Identity identity(status.st_dev, status.st_ino);
  if (parent != nullptr && parent->around->contains(identity)) {
    return problem(path, "A link to a folder around it");
  }
  if (!folders_seen_.insert(identity).second) return;
  auto around = parent != nullptr ? std::make_shared<std::set<Identity>>(*parent->around)
                                  : std::make_shared<std::set<Identity>>();
  around->insert(identity);
  pending_.push_back({std::move(path), standard, std::move(around)});
}

void Walk::file(std::string path, const struct stat& status) {
  if (!files_seen_.emplace(status.st_dev, status.st_ino).second) return;
  found_.files.push_back({std::move(path), static_cast<std::uint64_t>(status.st_size)});
}

Folders Walk::finish() && {
  std::ranges::sort(found_.files, {}, &HeaderFile::path);
  return std::move(found_);
}

}  // namespace

bool is_header_name(std::string_view name, bool in_standard_library) noexcept {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return in_standard_library;
  return dot != 0 && std::ranges::find(endings, name.substr(dot)) != endings.end();
}

Folders find_headers(std::span<const std::string> arguments) {
  Walk walk;
  for (const std::string& path : arguments) walk.argument(path);
  return std::move(walk).finish();
}

}  // namespace headers
