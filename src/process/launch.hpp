// Executing the program's own binary again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace procession::detail {

struct Launch {
  std::uint32_t slot;
  std::uint32_t generation;
  int channel = -1;                             // the fork server's end, or -1
  int life = -1;                                // the read end of the owner's life pipe, or -1
  int report = -1;                              // where it says how its start went, or -1
  int output = -1, error = -1, directory = -1;  // what becomes stdout, stderr, the directory
  bool keeper = false;                          // it is to keep descriptors
  const std::map<std::string, std::string>* environment = nullptr;
};

// A child of the caller. Returns its pid; throws SystemError with the phase "exec".
pid_t launch(const Launch& what);

// Nobody's child: no wait of this program, whatever it waits for, ever meets it, and no SIGCHLD
// tells of it. Throws SystemError.
void launch_hidden(const Launch& what);

}  // namespace procession::detail
