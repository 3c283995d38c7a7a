// expect: vector<int ?\*.*give it a serialize\(\) member, or make it an aggregate
#include <vector>

#include "procession/detail/codec.hpp"

void send(procession::detail::Writer& writer, const std::vector<int*>& value) {
#ifndef MUST_COMPILE
  procession::detail::encode(writer, value);
#endif
  static_cast<void>(writer);
  static_cast<void>(value);
}
