// The table for people and the JSON for programs.
#pragma once

#include <iosfwd>
#include <string>

#include "row.hpp"

namespace bench {

void print_header(std::ostream& out);
void print_row(std::ostream& out, const Row& row);
void print_end(std::ostream& out, const Rows& rows);

// {"quick": false, "cpus": 2, "rows": [{"number": 1, ...}, ...]}. Throws std::runtime_error when
// the file cannot be written.
void write_json(const std::string& path, const Rows& rows, bool quick);

}  // namespace bench
