#include "procession/array.hpp"

#include <stdexcept>
#include <string>

#include "procession/errors.hpp"

namespace procession::detail {

Object* create_array(std::size_t count, std::size_t element_bytes, std::string_view name) {
  constexpr std::size_t most = family_reserve;  // more is refused by the heap, with its sentence
  const std::size_t bytes = count > most / element_bytes ? most : count * element_bytes;
  Object* object = create_object(ObjectKind::Array, ArrayShared::elements_at + bytes, name);
  reinterpret_cast<ArrayShared*>(object)->size = count;
  return object;
}

void throw_out_of_range(const Object& named, std::size_t index, std::size_t size) {
  const std::string text =
      named.name[0] == '\0' ? "an unnamed array" : "array '" + std::string(named.name) + "'";
  throw std::out_of_range("at(" + std::to_string(index) + ") of " + text + ", which has " +
                          std::to_string(size) + " elements, numbered from 0");
}

}  // namespace procession::detail
