// expect: more than one way of being serialized: say which with cereal::specialize
#include "procession/detail/codec.hpp"

struct Both {
  int value = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
#ifndef MUST_COMPILE
  template <class Archive>
  void save(Archive& archive) const {
    archive(value);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(value);
  }
#endif
};

void send(procession::detail::Writer& writer, const Both& value) {
  procession::detail::encode(writer, value);
}
