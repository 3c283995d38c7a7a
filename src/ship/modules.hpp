// The modules of the family: the program and its shared libraries, by GNU build-id.
//
// The family has one table of modules, in its memory; a module's number is its place in it. Each
// process has a map of what it has loaded where. trampoline.hpp translates addresses with both.
//
// The table is a chain of blocks, each with all the modules that one process added at a time.
// Invariants:
//   1. A block is complete before it is linked, and nothing in it but `next` changes afterwards.
//   2. A block is linked only at the end of the chain, under sweep_mutex, by a process that has
//      seen the whole chain: so no module is in the table twice, and numbers have no gap.
//   3. `first` of a block is the number of modules in the blocks before it.
// The single store: hand_over() of the new block to the link at the end. A process that dies
// before it leaves the table as it was; the block, not reachable, is reclaimed.
//
// The map of a process is immutable but for its `pinned` marks; a new one replaces it with one
// compare-exchange, so that no lock is held when another thread forks. Maps are few (one for each
// time the loader had something new) and stay, because another thread may be reading them.
//   4. A range marked `pinned` belongs to a module that this process never unloads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "procession/detail/stream.hpp"
#include "procession/detail/trampoline.hpp"

namespace procession::detail {

// By number of module: whether a process has loaded it. Shorter than the table: the rest is not.
using LoadedSet = std::vector<bool>;

// What this process has loaded now; adds what the table lacks. Any thread; asks the dynamic
// loader, some microseconds. Throws OutOfMemory.
[[nodiscard]] LoadedSet loaded_modules();

// Modules in the table. A process whose set is as long as this has nothing new to learn.
[[nodiscard]] std::size_t module_count();

// "libplugin.so"; the program's own name for the program. "?" for a number that is not in use.
[[nodiscard]] std::string module_name(std::uint32_t module);

// Throws NotShippable, naming `call` and the module, unless the receiver has loaded what the
// address lies in, or everything that the message refers to.
void require_module(CodeAddress address, const LoadedSet& of_receiver, std::string_view call);
void require_modules(const Writer& message, const LoadedSet& of_receiver);

}  // namespace procession::detail
