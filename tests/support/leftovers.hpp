// What a test may leave behind: nothing. A Snapshot knows what there was, and says what is new.
//
// Example:
//   const Snapshot before = Snapshot::take();
//   use_the_library();
//   EXPECT_THAT(before.leftovers(), testing::IsEmpty());
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/tree.hpp"

namespace procession::test_support {

// What the library keeps for the process's whole life, and tests may therefore leave. Unless set
// otherwise, procession::detail::service_processes() and service_descriptors() are asked, if the
// program holds them.
struct Services {
  std::function<std::vector<pid_t>()> processes;
  std::function<std::vector<int>()> descriptors;
};
void set_services(Services services);

// Not thread-safe. Taking one reads /proc; that costs about a millisecond.
class Snapshot {
 public:
  static Snapshot take();

  // One sentence for each thing that is there now and was not when the snapshot was taken, or was
  // and is not: "left behind: descriptor 7 -> pipe:[123]". Waits up to two seconds for orphans that
  // are ending. With `remove`, processes named in the answer are killed.
  std::vector<std::string> leftovers(bool remove = false) const;

 private:
  void check_processes(std::vector<std::string>& found, bool remove) const;
  void check_descriptors(std::vector<std::string>& found) const;
  void check_names(std::vector<std::string>& found) const;

  std::vector<ProcessEntry> processes_;
  std::map<int, std::string> descriptors_;
  std::vector<int> service_descriptors_;
  std::set<std::string> names_;  // files in /dev/shm, and ours in the temporary folder
};

}  // namespace procession::test_support
