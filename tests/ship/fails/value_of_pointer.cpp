// expect: Value<T> of a type with a pointer or reference in it
#include "procession/value.hpp"

struct View {
#ifdef MUST_COMPILE
  int first;
#else
  const char* first;
#endif
  int size;
};

int size(const procession::Value<View>& view) { return view.load().size; }
