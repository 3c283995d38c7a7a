// Where an exception was thrown, though it is caught far away.
//
// The C++ runtime looks for a handler before it unwinds anything. call_watching_throws puts a
// handler in its way that catches nothing, but is asked: at that moment the stack of the throw is
// still whole, and its frames are recorded. The exception then goes its way.
//
// Example:
//   ThrowSite site;
//   try {
//     call_watching_throws(&run_task, &task, site);
//   } catch (...) {
//     report(render_stack(site.stack(), 32));
//   }
//
// Thread-safe: each call watches its own thread. Nothing is allocated and no lock is taken, not
// even at a throw; without one the cost is a few stores to thread-local memory.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace procession::detail {

// The stack of a throw, innermost frame first: addresses inside the calling instructions.
struct ThrowSite {
  static constexpr std::size_t max_frames = 64;
  static constexpr std::size_t max_nesting = 4;  // of calls that watch at the same time
  std::span<void* const> stack() const noexcept { return {frames.data(), size}; }

  std::array<void*, max_frames> frames;
  std::size_t size = 0;
};

// body(argument). An exception that leaves it passes through unchanged, with `site` filled in:
// the place where it was last thrown (`throw;` counts). Nothing is recorded for exceptions that
// are caught inside, and for the unwinding of a cancelled thread. `site` is cleared first. Calls
// may be nested; an exception through several is recorded by all. One that is nested deeper than
// max_nesting calls its body and records nothing.
void call_watching_throws(void (*body)(void*), void* argument, ThrowSite& site);

// One line a frame, "  at function(int) (file.cpp:12)\n", at most `max` of them: without the
// frames of the runtime's throwing machinery and without those from call_watching_throws on
// outwards. Functions are named if the program has a symbol table, lines if it has debug
// information; what has neither shows as an address. Slow (milliseconds) and allocating.
std::string render_stack(std::span<void* const> frames, std::size_t max);

}  // namespace procession::detail
