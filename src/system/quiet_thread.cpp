#include "system/quiet_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include "system/errors.hpp"

namespace procession::detail {

void start_quiet_thread(void* (*body)(void*), void* argument, const char* purpose) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) throw_system_error(error, purpose);
}

}  // namespace procession::detail
