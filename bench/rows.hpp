// Every row there is, each measured in a process of its own.
#pragma once

#include "measure.hpp"
#include "row.hpp"

namespace bench {

struct Measurement {
  int number;
  Rows (*run)(const Settings&);
};

// In the order of the table.
const std::vector<Measurement>& measurements();

// rows/process.cpp
Rows fork_start_join(const Settings&);              // 1
Rows fork_server_start_join(const Settings&);       // 2
Rows fork_server_of_large_parent(const Settings&);  // 3
Rows spawn_start_join(const Settings&);             // 4
Rows pool_made_and_destroyed(const Settings&);      // 5
// rows/round_trip.cpp
Rows apply_sleeping(const Settings&);  // 6
Rows apply_spinning(const Settings&);  // 7
// rows/throughput.cpp
Rows tiny_tasks(const Settings&);             // 8
Rows map_single(const Settings&);             // 9
Rows map_default(const Settings&);            // 10
Rows map_of_work(const Settings&);            // 11
Rows imap_unordered_single(const Settings&);  // 12
// rows/queue.cpp
Rows queue_one_to_one(const Settings&);  // 13
Rows queue_two_to_two(const Settings&);  // 14
// rows/channel_round_trip.cpp
Rows queue_round_trip_asleep(const Settings&);  // 15
Rows queue_round_trip(const Settings&);         // 15
// rows/large.cpp
Rows large_payload(const Settings&);  // 16
// rows/lock.cpp
Rows lock_uncontended(const Settings&);  // 17
Rows lock_contended(const Settings&);    // 18
// rows/footprint.cpp
Rows many_tasks(const Settings&);  // 21
Rows idle_pool(const Settings&);   // 22

}  // namespace bench
