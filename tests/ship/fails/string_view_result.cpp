// expect: string_view.*cannot travel to another process
#include <string>
#include <string_view>

#include "procession/detail/codec.hpp"

#ifdef MUST_COMPILE
using Result = std::string;
#else
using Result = std::string_view;
#endif

Result receive(procession::detail::Reader& reader) {
  return procession::detail::decode<Result>(reader);
}
