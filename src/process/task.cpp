#include "procession/detail/task.hpp"

#include "memory/family.hpp"
#include "memory/references.hpp"

namespace procession::detail {

void drop_start_references() noexcept {
  void* block = self().task.load(std::memory_order_acquire);
  if (block != nullptr) drop_references(block);
}

void refuse_to_ship(std::string_view call, std::string_view type, std::string_view role) {
  throw NotShippable(std::string(call) + ": the " + std::string(role) + " of type " +
                     std::string(type) +
                     " cannot travel to another process: pointers, references and what wraps them "
                     "mean nothing there; pass a value, a handle, or a type with a serialize() "
                     "member, or use StartMethod::Fork");
}

}  // namespace procession::detail
