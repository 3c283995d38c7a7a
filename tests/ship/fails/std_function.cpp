// expect: the callable F .above. cannot travel to another process: .*bind_front
#include <functional>

#include "procession/detail/callable.hpp"

void send(procession::detail::Writer& writer) {
#ifdef MUST_COMPILE
  const auto callable = [](int x) { return x; };
#else
  const std::function<int(int)> callable = [](int x) { return x; };
#endif
  procession::detail::encode_callable(writer, callable);
}
