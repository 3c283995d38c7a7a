// expect: Outer.*pointers and references cannot travel to another process
#include "procession/detail/codec.hpp"

struct HasPointer {
  int number;
#ifndef MUST_COMPILE
  int* pointer;
#endif
};
struct Outer {
  HasPointer inner;
};

void send(procession::detail::Writer& writer, const Outer& value) {
  procession::detail::encode(writer, value);
}
