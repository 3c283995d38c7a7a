// The search for pointers in bytes that are about to travel.
//
// What cannot be seen at compile time, the captures of a lambda and the private members of a
// trivially copyable class, is looked at word by word when it is sent. A word that is the address
// of something mapped in this process means something else in another one, and refuses the call;
// except for addresses of objects in the family memory, which are handles.
//
// What it can miss: nothing that points at mapped memory and lies at its natural alignment. A
// dangling pointer to memory that has been unmapped passes.
// What it can take for a pointer although it is none: an integer that happens to equal a mapped
// address (most are below 65536, or above 2^47), and padding that still holds half an address.
// GCC sets padding to zero before the search at no cost worth a word; Clang cannot, and leaves
// that chance open for closures with padding.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "procession/detail/stream.hpp"

namespace procession::detail {

enum class ScanSubject { Callable, Value };

// Adds the handles found to `writer`. `bytes` is 8-byte aligned; a last part of a word is not
// looked at. Thread-safe. One short system call for each word that could be an address. Throws
// NotShippable that names the call, the type and the word.
void scan_for_pointers(std::span<const std::byte> bytes, Writer& writer, std::string_view type,
                       ScanSubject subject = ScanSubject::Callable);

}  // namespace procession::detail
