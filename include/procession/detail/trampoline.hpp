// Addresses of code in a form that every process of the family understands: processes load the
// same modules (the program, its shared libraries) at different addresses.
//
// Example, sending and receiving side:
//   CodeAddress address = code_address(reinterpret_cast<const void*>(&run_task<F>));
//   auto* run = reinterpret_cast<void (*)(Reader&)>(resolve(address));
#pragma once

#include <cstdint>

#include "procession/detail/stream.hpp"

namespace procession::detail {

struct CodeAddress {
  std::uint32_t module;  // number in the family's table of modules
  std::uint64_t offset;  // from where the module is loaded
};

// Any thread. Below 20 ns for a module seen before; the first time for a module it asks the
// dynamic loader, and the module stays loaded from then on, so that the answer stays true. Works
// for objects of static storage duration too. Throws NotShippable if no module holds `function`.
[[nodiscard]] CodeAddress code_address(const void* function);

// Any thread, as fast. nullptr if this process has not loaded the module.
[[nodiscard]] void* resolve(CodeAddress address);

// The same as parts of a message; nullptr travels too. read_code throws NotShippable if this
// process has not loaded the module.
void write_code(Writer& writer, const void* function);
[[nodiscard]] void* read_code(Reader& reader);

}  // namespace procession::detail
