// What can be said about the current exception, whatever its type.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <typeinfo>

#include "procession/detail/remote_info.hpp"

namespace procession::detail {

struct CurrentException {
  const std::type_info* type = nullptr;  // null: not thrown by C++
  std::string type_name;
  std::string what;     // of a type without one: a sentence with the type and, if known, the value
  std::string summary;  // "std::runtime_error: text", "int: 5"
  std::shared_ptr<const RemoteOrigin> origin;  // of an exception that came from another process
  std::exception_ptr nested;
};

// Call it inside a handler; afterwards the same exception is current.
[[nodiscard]] CurrentException current_exception_details();

// "caused by std::runtime_error: text", a line for each exception of the chain.
[[nodiscard]] std::string nested_text(std::exception_ptr nested);

}  // namespace procession::detail
