// The keeper, a process of the family that does nothing else: it has the descriptors that are on
// their way to other processes, and removes the family's names in /dev/shm (shared_names.hpp) when
// no other process is left.
//
// A descriptor is a process's own. What names one and is sent (a Connection) is sent with a
// *ticket*: an object that the block on its way carries, and with which the descriptor is
// deposited at the *keeper*. Whoever reads the block gets the descriptor there. When the block is
// freed, and with it the ticket, the keeper closes it, unless there are other tickets for it. See
// docs/decisions/0008-connections.md.
//
// Invariants:
//   1. A deposit is in the keeper's socket before its ticket is in a block. The socket is first in,
//      first out; so a request for a descriptor comes after its deposit.
//   2. A ticket's end is told to the keeper, or `look_again` is set and there is something in the
//      socket: then it compares the tickets that it knows with the family memory.
//   3. KeeperWords::place names at most one keeper that can join the family. It changes under
//      KeeperWords::mutex, before the process is made.
// The single store that makes a deposit: sendmsg.
//
//   | the keeper       | deposit          | fetch                  | end of a ticket      |
//   | was never needed | starts one       | starts one: not there  | -                    |
//   | runs             | sends            | asks                   | sends                |
//   | is stopped       | sends; blocks if | blocks                 | sends, or look_again |
//   |                  | its socket is full |                      |                      |
//   | was killed       | starts another   | starts another; there if it had not read the | -  |
//   |                  |                  | deposit yet            |                      |
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "system/descriptor.hpp"

namespace procession::detail {

// Deposits a copy of `descriptor` under `number` for as long as `block` lives. Any thread. Throws
// OutOfMemory, SystemError, StateError (no keeper can be started: main() is not diverted).
void entrust_descriptor(void* block, std::uint64_t number, int descriptor);

// Close-on-exec. None: nobody has deposited it, or who kept it was killed. Throws as above.
[[nodiscard]] Descriptor fetch_descriptor(std::uint64_t number);

// There is a keeper when this returns: the family's names in /dev/shm go with the family. Costs a
// look at its life token while one runs. Throws as above.
void require_keeper();

// 0: there is none.
[[nodiscard]] pid_t keeper_pid() noexcept;

// The keeper itself: until there is no other process in the family, and then it removes the
// family's names. `report`: where it says that it is ready.
[[noreturn]] void keep_descriptors(int report);

}  // namespace procession::detail
