#include "system/descriptor.hpp"

#include <fcntl.h>
#include <cerrno>

namespace procession::detail {

[[gnu::hot]] void Descriptor::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0 || old == fd) return;
  const int saved = errno;
  ::close(old);
  errno = saved;
}

int above_standard(int fd) noexcept {
  if (fd < 0 || fd > 2) return fd;
  const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (higher < 0) return fd;
  ::close(fd);
  return higher;
}

}  // namespace procession::detail
