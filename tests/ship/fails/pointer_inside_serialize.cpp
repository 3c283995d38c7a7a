// expect: int ?\*.*pointers and references cannot travel
#include "procession/detail/codec.hpp"

struct Linked {
  int value = 0;
  int* pointer = nullptr;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
#ifndef MUST_COMPILE
    archive(pointer);
#endif
  }
};

void send(procession::detail::Writer& writer, const Linked& value) {
  procession::detail::encode(writer, value);
}
