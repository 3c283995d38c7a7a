// expect: the callable F .above. cannot travel.*copyable lambda
#include <memory>

#include "procession/detail/callable.hpp"

void send(procession::detail::Writer& writer) {
#ifdef MUST_COMPILE
  const auto callable = [] { return true; };
#else
  const auto callable = [owned = std::unique_ptr<int>()] { return owned == nullptr; };
#endif
  procession::detail::encode_callable(writer, callable);
}
