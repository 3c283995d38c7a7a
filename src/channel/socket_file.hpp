// The socket of a listener in the file system.
//
// Invariants:
//   1. Under its name nobody ever meets a socket that does not listen yet: it gets a name of its
//      own, listens, and is then linked to the one that it is wanted under.
//   2. What is removed under that name is the very file that was looked at before: a socket at
//   which
//      nobody listens, or our own.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <string>
#include <utility>

#include "system/descriptor.hpp"

namespace procession::detail {

// Room for a name of its own in sockaddr_un.
inline constexpr std::size_t longest_socket_path = sizeof(sockaddr_un::sun_path) - 18;

sockaddr_un socket_path(const std::string& path) noexcept;

// Removed with this object, or at the exit of the process that made it. Thread-safe as an int is.
class SocketFile {
 public:
  // Throws SystemError: EADDRINUSE when somebody listens there, or when what is there is no socket.
  SocketFile(std::string path, int backlog);
  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

  // The socket itself, which is non-blocking. Once.
  [[nodiscard]] Descriptor take_socket() noexcept { return std::move(socket_); }
  // Can be done twice.
  void remove() noexcept;

 private:
  void remove_stale() const;
  std::string path_;
  pid_t owner_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  Descriptor socket_;
};

}  // namespace procession::detail
