// Forked processes that begin at one moment.
#pragma once

#include <functional>
#include <vector>

namespace bench {

// Runs each of the bodies in a process of its own. Seconds from the moment when all were ready
// until all were done. Throws std::runtime_error when one of them does not end as it should.
double seconds_of_crew(const std::vector<std::function<void()>>& bodies);

}  // namespace bench
