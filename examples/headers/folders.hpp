// Finds the headers below folders.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "census.hpp"

namespace headers {

// True for the file names of C and C++ headers: .h .H .hh .hp .hpp .hxx .h++ .inl .ipp .tcc .tpp
// .txx, and, in the folders of a C++ standard library, names without a dot (<vector>).
// .inc and .def are left out: as many of those are assembler, Pascal or PHP.
bool is_header_name(std::string_view name, bool in_standard_library) noexcept;

struct Folders {
  std::vector<HeaderFile> files;  // by path; each file once, however many ways lead to it
  std::vector<SkippedFile> problems;
  std::size_t usable = 0;  // how many of the arguments could be read
};

// Looks through `arguments`, folders or single files (which are taken whatever their names). Links
// are followed; a folder is entered once, and a link to a folder around it is a problem to report.
// What cannot be read is a problem too; nothing but std::bad_alloc is thrown.
Folders find_headers(std::span<const std::string> arguments);

}  // namespace headers
