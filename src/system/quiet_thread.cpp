#include "system/quiet_thread.hpp"

#include <signal.h>

#include <utility>

#include "system/errors.hpp"

namespace procession::detail {
namespace {

pthread_t start(void* (*body)(void*), void* argument, int detach_state, const char* purpose) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, detach_state);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) throw_system_error(error, purpose);
  return thread;
}

}  // namespace

void start_quiet_thread(void* (*body)(void*), void* argument, const char* purpose) {
  (void)start(body, argument, PTHREAD_CREATE_DETACHED, purpose);
}

QuietThread::QuietThread(std::function<void()> body, const char* purpose) : body_(std::move(body)) {
  const auto run = [](void* self) -> void* {
    static_cast<QuietThread*>(self)->body_();
    return nullptr;
  };
  thread_ = start(run, this, PTHREAD_CREATE_JOINABLE, purpose);
}

QuietThread::~QuietThread() { pthread_join(thread_, nullptr); }

}  // namespace procession::detail
