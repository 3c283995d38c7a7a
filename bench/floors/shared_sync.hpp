// The POSIX primitives that stand nearest to ours, in memory shared by processes. Each is broken
// for ever by the death of who holds it.
#pragma once

#include <pthread.h>
#include <semaphore.h>

namespace bench::floors {

// A zeroed page that children of this process see too.
class SharedPage {
 public:
  SharedPage();
  ~SharedPage();
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;

 protected:
  void* page_;
};

class SharedRecursiveMutex : SharedPage {
 public:
  SharedRecursiveMutex();
  void lock() { pthread_mutex_lock(mutex()); }
  void unlock() { pthread_mutex_unlock(mutex()); }

 private:
  pthread_mutex_t* mutex() { return static_cast<pthread_mutex_t*>(page_); }
};

class SharedRWLock : SharedPage {
 public:
  SharedRWLock();
  void lock() { pthread_rwlock_wrlock(rwlock()); }
  void lock_shared() { pthread_rwlock_rdlock(rwlock()); }
  void unlock() { pthread_rwlock_unlock(rwlock()); }

 private:
  pthread_rwlock_t* rwlock() { return static_cast<pthread_rwlock_t*>(page_); }
};

// Taken for reading.
class SharedReadLock {
 public:
  void lock() { rwlock_.lock_shared(); }
  void unlock() { rwlock_.unlock(); }

 private:
  SharedRWLock rwlock_;
};

class SharedSemaphore : SharedPage {
 public:
  explicit SharedSemaphore(unsigned value) { sem_init(semaphore(), 1, value); }
  void lock() { sem_wait(semaphore()); }
  void unlock() { sem_post(semaphore()); }

 private:
  sem_t* semaphore() { return static_cast<sem_t*>(page_); }
};

// A flag under a mutex with a condition variable.
class SharedFlag : SharedPage {
 public:
  SharedFlag();
  void set();
  void clear();
  void wait();

 private:
  struct Parts {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool set;
  };
  Parts& parts() { return *static_cast<Parts*>(page_); }
};

}  // namespace bench::floors
