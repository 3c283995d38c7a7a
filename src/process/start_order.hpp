// What a new process is told: the block at ProcessSlot::task, made by its parent.
//
//   TaskHeader | StartOrder (codec) | target and arguments (TaskOf::write)
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"
#include "procession/types.hpp"

namespace procession::detail {

struct TaskHeader {
  CodeAddress entry;    // a TaskEntry
  std::uint64_t bytes;  // of the block, this header included
};

struct StartOrder {
  std::string identity;  // "1:2": children of it are "1:2:1", ...
  bool daemon = false;
  bool report = false;              // the parent waits to hear how the start went
  std::uint8_t default_method = 0;  // StartMethod, for what it starts itself
  Limits limits;
  std::map<std::string, std::string> environment;
  std::vector<int> cpus;

  void write(Writer& writer) const;
  static StartOrder read(Reader& reader);
};

}  // namespace procession::detail
