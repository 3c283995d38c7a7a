#include "procession/detail/handle.hpp"

#include <string>

#include "procession/errors.hpp"

namespace procession::detail {

void throw_empty_handle(std::string_view type) {
  throw StateError("this " + std::string(type) +
                   " is empty: it was moved from, and names no object; use the one that it was "
                   "moved to, or copy it instead");
}

}  // namespace procession::detail
