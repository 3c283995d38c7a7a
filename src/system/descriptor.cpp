#include "system/descriptor.hpp"

#include <cerrno>

namespace procession::detail {

void Descriptor::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0 || old == fd) return;
  const int saved = errno;
  ::close(old);
  errno = saved;
}

}  // namespace procession::detail
