// Reads whole files.
#pragma once

#include <string>
#include <string_view>

namespace headers {

// One buffer that grows to the largest file and is used again for the next. Not thread-safe.
class SourceReader {
 public:
  // The bytes of the file, valid until the next call. Empty view and a non-empty `error()` when it
  // cannot be read, is no regular file, or vanished. May block on the disk, never on a pipe.
  std::string_view read(const char* path);
  const std::string& error() const noexcept { return error_; }

 private:
  std::string_view fail(int error);
  std::string buffer_;
  std::string error_;
};

// True when a NUL byte is among the first 1024 bytes: not text, or not text in a byte encoding.
bool looks_binary(std::string_view bytes) noexcept;

}  // namespace headers
