// A pthread mutex in memory shared by processes: what a lock costs that the death of its owner
// breaks for ever.
#pragma once

#include <pthread.h>

namespace bench::floors {

class SharedMutex {
 public:
  SharedMutex();
  ~SharedMutex();
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() { pthread_mutex_lock(mutex_); }
  void unlock() { pthread_mutex_unlock(mutex_); }

 private:
  pthread_mutex_t* mutex_;
};

}  // namespace bench::floors
