// expect: Array<T> of a type with a pointer or reference in it
#include "procession/array.hpp"

struct Node {
  int value;
#ifdef MUST_COMPILE
  int next;
#else
  Node* next;
#endif
};

std::size_t count(const procession::Array<Node>& nodes) { return nodes.size(); }
