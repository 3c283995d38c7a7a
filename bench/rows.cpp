#include "rows.hpp"

namespace bench {

const std::vector<Measurement>& measurements() {
  static const std::vector<Measurement> all{
      {1, fork_start_join},
      {2, fork_server_start_join},
      {3, fork_server_of_large_parent},
      {4, spawn_start_join},
      {5, pool_made_and_destroyed},
      {6, apply_sleeping},
      {7, apply_spinning},
      {8, tiny_tasks},
      {9, map_single},
      {10, map_default},
      {11, map_of_work},
      {12, imap_unordered_single},
      {13, queue_one_to_one},
      {14, queue_two_to_two},
      {15, queue_round_trip_asleep},
      {15, queue_round_trip},
      {16, large_payload},
      {17, lock_uncontended},
      {18, lock_contended},
      {21, many_tasks},
      {22, idle_pool},
  };
  return all;
}

}  // namespace bench
