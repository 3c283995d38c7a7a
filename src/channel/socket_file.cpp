#include "channel/socket_file.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "procession/errors.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

// Those that a std::exit() is to remove.
struct SocketFiles {
  std::mutex mutex;
  std::vector<SocketFile*> files;
};

SocketFiles& socket_files() {
  static auto& the = []() -> SocketFiles& {
    auto* made = new SocketFiles;  // for as long as the process lives
    std::atexit([] {
      std::lock_guard guard(socket_files().mutex);
      for (SocketFile* each : socket_files().files) each->remove();
    });
    return *made;
  }();
  return the;
}

// In the folder of `path`, used by no other process.
std::string own_name(const std::string& path) {
  static std::atomic<unsigned> count{0};
  char suffix[18];
  std::snprintf(suffix, sizeof suffix, ".%x.%x", static_cast<unsigned>(getpid()),
                count.fetch_add(1) & 0xfffffff);
  return path + suffix;
}

[[noreturn]] void throw_in_use(const std::string& path, const char* why) {
  throw SystemError(EADDRINUSE, "listen",
                    "cannot listen at unix:" + path + ": " + why +
                        " (EADDRINUSE); use another path, or end who uses this one");
}

// Whether somebody listens there.
bool answers(const std::string& path) {
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un there = socket_path(path);
  const auto* address = reinterpret_cast<const sockaddr*>(&there);
  return connect(probe.get(), address, sizeof there) == 0 ||
         (errno != ECONNREFUSED && errno != ENOENT);
}

bool same_file(const struct stat& one, const struct stat& other) noexcept {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

sockaddr_un socket_path(const std::string& path) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

SocketFile::SocketFile(std::string path, int backlog)
    : path_(std::move(path)),
      owner_(getpid()),
      socket_(above_standard(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))) {
  if (!socket_) throw_system_error(errno, "make a socket");
  const std::string own = own_name(path_);
  const sockaddr_un here = socket_path(own);
  (void)unlink(own.c_str());  // of a process that had this pid, and died in these lines
  struct stat status {};
  int error = 0;
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
      chmod(own.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(socket_.get(), backlog) != 0 ||
      lstat(own.c_str(), &status) != 0) {
    error = errno;
  }
  device_ = status.st_dev;
  inode_ = status.st_ino;
  try {
    while (error == 0 && link(own.c_str(), path_.c_str()) != 0) {
      error = errno == EEXIST ? 0 : errno;
      if (error == 0) remove_stale();
    }
  } catch (...) {
    unlink(own.c_str());
    throw;
  }
  unlink(own.c_str());
  if (error != 0) throw_system_error(error, "listen at unix:" + path_);
  std::lock_guard guard(socket_files().mutex);
  socket_files().files.push_back(this);
}

SocketFile::~SocketFile() {
  {
    std::lock_guard guard(socket_files().mutex);
    std::erase(socket_files().files, this);
  }
  remove();
}

// What has the name is put aside first: then nobody can put something else in its place between
// the look and the removal.
void SocketFile::remove_stale() const {
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) return;  // gone meanwhile
  if (!S_ISSOCK(found.st_mode)) throw_in_use(path_, "what is there is no socket");
  if (answers(path_)) throw_in_use(path_, "somebody listens there");
  const std::string aside = own_name(path_);
  if (rename(path_.c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw_system_error(errno, "replace the socket of an ended listener at unix:" + path_);
  }
  struct stat taken {};
  if (lstat(aside.c_str(), &taken) == 0 && !same_file(found, taken)) {
    // Another listener has just replaced it.
    (void)link(aside.c_str(), path_.c_str());
    unlink(aside.c_str());
    throw_in_use(path_, "somebody has just begun to listen there");
  }
  unlink(aside.c_str());
}

void SocketFile::remove() noexcept {
  if (owner_ != getpid() || inode_ == 0) return;
  struct stat found {};
  if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) {
    unlink(path_.c_str());
  }
  inode_ = 0;
}

}  // namespace procession::detail
