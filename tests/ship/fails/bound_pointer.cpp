// expect: the callable F .above. cannot travel.*capture no pointers
#include <functional>

#include "procession/bind_front.hpp"
#include "procession/detail/callable.hpp"

void send(procession::detail::Writer& writer, int* pointer) {
#ifdef MUST_COMPILE
  procession::detail::encode_callable(writer, procession::bind_front(std::plus<>(), *pointer));
#else
  procession::detail::encode_callable(writer, procession::bind_front(std::plus<>(), pointer));
#endif
}
