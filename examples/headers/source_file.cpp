#include "source_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace headers {
namespace {

class Descriptor {
 public:
  // O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
  explicit Descriptor(const char* path) : fd_(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string_view SourceReader::fail(int error) {
  error_ = std::generic_category().message(error);
  return {};
}

std::string_view SourceReader::read(const char* path) {
  error_.clear();
  const Descriptor file(path);
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return fail(errno);
  if (S_ISDIR(status.st_mode)) return fail(EISDIR);
  if (!S_ISREG(status.st_mode)) {
    error_ = "Not a regular file";
    return {};
  }
  // One byte more than the file is said to have: the read that finds its end needs room.
  std::size_t size = 0;
  for (std::size_t room = static_cast<std::size_t>(status.st_size) + 1;; room = size * 2) {
    if (buffer_.size() < room) buffer_.resize(room);
    while (size < buffer_.size()) {
      const ssize_t got = ::read(file.get(), buffer_.data() + size, buffer_.size() - size);
      if (got == 0) return {buffer_.data(), size};
      if (got > 0) {
        size += static_cast<std::size_t>(got);
      } else if (errno != EINTR) {
        return fail(errno);
      }
    }
  }
}

bool looks_binary(std::string_view bytes) noexcept {
  return bytes.substr(0, 1024).find('\0') != std::string_view::npos;
}

}  // namespace headers
