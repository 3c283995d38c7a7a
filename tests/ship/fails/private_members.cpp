// expect: Opaque.*cannot travel to another process: give it a serialize\(\) member
#include <string>

#include "procession/detail/codec.hpp"

class Opaque {
 public:
  explicit Opaque(std::string text = {}) : text_(std::move(text)) {}
#ifdef MUST_COMPILE
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_);
  }
#endif

 private:
  std::string text_;
};

Opaque receive(procession::detail::Reader& reader) {
  return procession::detail::decode<Opaque>(reader);
}
