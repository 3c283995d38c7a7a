// The fork server: the program's own binary, executed again, single-threaded, forking on request.
//
// One for each process that starts others, made with the first; it is nobody's child that the host
// program could meet in a wait, and dies with its owner by the kernel's hand (LifePipe). It is the
// parent of what it forks and spawns: it reaps them, writes down in their slot what became of
// them, and sweeps.
//
// A request is one message on a socket pair, an answer another. Requests of several threads wait
// for each other; none waits for anything but a fork.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "ship/modules.hpp"
#include "system/descriptor.hpp"

namespace procession::detail {

struct ServerRequest {
  // Discard: the owner could not receive the pidfd; the process is killed and reaped.
  enum class Kind : std::uint32_t { Fork, Spawn, Reap, Discard };
  Kind kind;
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint32_t daemon;
  // Which of descriptors stdout (1), stderr (2), working directory (4), report (8) come along.
  std::uint32_t descriptors;
};

struct ServerReply {
  std::int32_t error;  // 0, or errno
  std::int32_t pid;
  char phase[24];
};

struct ServedProcess {
  pid_t pid;
  Descriptor pidfd;
};

// In the owner. Starts the server at the first call, and again after it was killed.
// Throws SystemError.
ServedProcess request_process(bool spawn, std::uint32_t slot, std::uint32_t generation, bool daemon,
                              int report);
// Has the server write down what became of a child that has ended. False: the server is gone.
bool request_reap(std::uint32_t slot, std::uint32_t generation);

// What the server can resolve; starts it if need be.
LoadedSet served_modules();

// The CPUs that what it makes begins with. REQUIRES: served_modules() was called.
std::vector<int> server_affinity();

std::vector<pid_t> server_pids();
std::vector<int> server_descriptors();
void forget_inherited_server() noexcept;  // in a forked child

// The server itself.
[[noreturn]] void serve(int channel, int life);

}  // namespace procession::detail
