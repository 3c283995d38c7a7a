// Threads of the library's own, in which no signal of the program is handled.
#pragma once

namespace procession::detail {

// Starts a detached thread with all signals blocked. Throws SystemError, whose phase is `purpose`.
void start_quiet_thread(void* (*body)(void*), void* argument, const char* purpose);

}  // namespace procession::detail
