#include "floors/shared_mutex.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace bench::floors {

SharedMutex::SharedMutex() {
  void* page = ::mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  mutex_ = static_cast<pthread_mutex_t*>(page);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

SharedMutex::~SharedMutex() { ::munmap(mutex_, sizeof(pthread_mutex_t)); }

}  // namespace bench::floors
