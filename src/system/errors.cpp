#include "system/errors.hpp"

#include <cstring>

#include "procession/errors.hpp"

namespace procession::detail {

std::string error_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? std::string(name) : "errno " + std::to_string(error);
}

void throw_system_error(int error, std::string_view doing) {
  // strerror is not thread-safe; the untranslated description is.
  const char* description = ::strerrordesc_np(error);
  std::string what = "cannot ";
  what += doing;
  what += ": ";
  what += description != nullptr ? description : "unknown error";
  what += " (" + error_name(error) + ")";
  throw SystemError(error, std::string(doing), what);
}

}  // namespace procession::detail
