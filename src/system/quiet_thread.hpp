// Threads of the library's own, in which no signal of the program is handled.
#pragma once

#include <pthread.h>

#include <functional>

namespace procession::detail {

// Starts a detached thread with all signals blocked. Throws SystemError, whose phase is `purpose`.
void start_quiet_thread(void* (*body)(void*), void* argument, const char* purpose);

// One that lives as long as this object, whose destructor waits for its end.
class QuietThread {
 public:
  // `body` must not throw. Throws SystemError.
  QuietThread(std::function<void()> body, const char* purpose);
  ~QuietThread();
  QuietThread(const QuietThread&) = delete;
  QuietThread& operator=(const QuietThread&) = delete;

 private:
  std::function<void()> body_;
  pthread_t thread_{};
};

}  // namespace procession::detail
