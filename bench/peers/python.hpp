// CPython's multiprocessing, the interface this library has the pleasure to share.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace bench::peers {

// Runs peers/SCRIPT with python3 from the PATH and gives the number that it prints as "rate" of
// its one line of JSON. Nothing where there is no python3, no script, or the script failed.
std::optional<double> python_rate(const std::string& script,
                                  const std::vector<std::string>& arguments);

// The same for several numbers of that line, in the order of `keys`.
std::optional<std::vector<double>> python_numbers(const std::string& script,
                                                  const std::vector<std::string>& arguments,
                                                  const std::vector<std::string>& keys);

}  // namespace bench::peers
