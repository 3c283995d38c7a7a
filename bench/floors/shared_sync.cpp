#include "floors/shared_sync.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace bench::floors {
namespace {

constexpr std::size_t page_bytes = 4096;

}  // namespace

SharedPage::SharedPage()
    : page_(
          ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
  if (page_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
}

SharedPage::~SharedPage() { ::munmap(page_, page_bytes); }

SharedRecursiveMutex::SharedRecursiveMutex() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(mutex(), &attributes);
  pthread_mutexattr_destroy(&attributes);
}

SharedRWLock::SharedRWLock() {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_rwlock_init(rwlock(), &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

SharedFlag::SharedFlag() {
  pthread_mutexattr_t mutex;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&parts().mutex, &mutex);
  pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t condition;
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&parts().changed, &condition);
  pthread_condattr_destroy(&condition);
}

void SharedFlag::set() {
  pthread_mutex_lock(&parts().mutex);
  parts().set = true;
  pthread_cond_broadcast(&parts().changed);
  pthread_mutex_unlock(&parts().mutex);
}

void SharedFlag::clear() {
  pthread_mutex_lock(&parts().mutex);
  parts().set = false;
  pthread_mutex_unlock(&parts().mutex);
}

void SharedFlag::wait() {
  pthread_mutex_lock(&parts().mutex);
  while (!parts().set) pthread_cond_wait(&parts().changed, &parts().mutex);
  pthread_mutex_unlock(&parts().mutex);
}

}  // namespace bench::floors
