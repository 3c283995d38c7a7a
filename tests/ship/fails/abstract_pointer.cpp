// expect: Base.*smart pointer to an abstract class.*std::variant
#include <memory>

#include "procession/detail/codec.hpp"

struct Base {
  virtual ~Base() = default;
#ifdef MUST_COMPILE
  virtual int area() const { return 0; }
  template <class Archive>
  void serialize(Archive&) {}
#else
  virtual int area() const = 0;
#endif
};

void send(procession::detail::Writer& writer, const std::unique_ptr<Base>& value) {
  procession::detail::encode(writer, value);
}
