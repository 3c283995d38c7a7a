// The two ways to take the census: in a pool, and in this process.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "census.hpp"
#include "report.hpp"

namespace headers {

// Thrown out of a run after Ctrl-C.
struct Interrupted {};

// From here on Ctrl-C makes the runs throw Interrupted; a second one ends the program at once.
void watch_for_interrupt();

struct PoolRunOptions {
  std::size_t processes = 0;  // 0: one for each usable CPU
  bool chaos = false;         // kill a random worker every 50 ms
};

// The time covers the start and the end of the pool. Throws Interrupted, and what Pool throws.
Run run_in_pool(const std::vector<Batch>& batches, const PoolRunOptions& options);

// The same batches, the same counting and merging, one after another.
Run run_in_this_process(const std::vector<Batch>& batches);

// Reads every file once, so that both runs find them in the page cache.
void read_once(std::span<const HeaderFile> files);

}  // namespace headers
