#include "memory/robust_mutex.hpp"

#include <linux/futex.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "memory/heap.hpp"

namespace procession::detail {

void RobustMutex::initialise() noexcept {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  std::memset(&mutex_, 0, sizeof mutex_);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

bool RobustMutex::lock() noexcept {
  const int error = pthread_mutex_lock(&mutex_);
  if (error == EOWNERDEAD) {
    pthread_mutex_consistent(&mutex_);
    return true;
  }
  if (error != 0) std::abort();  // a mutex of ours that is not one: the memory is overwritten
  return false;
}

[[gnu::hot]] bool RobustMutex::try_lock() noexcept {
  const int error = pthread_mutex_trylock(&mutex_);
  if (error == EOWNERDEAD) pthread_mutex_consistent(&mutex_);
  return error == 0 || error == EOWNERDEAD;
}

void RobustMutex::unlock() noexcept { pthread_mutex_unlock(&mutex_); }

bool RobustMutex::holder_died() const noexcept {
  const auto word =
      std::atomic_ref<int>(const_cast<int&>(mutex_.__data.__lock)).load(std::memory_order_acquire);
  return (static_cast<unsigned>(word) & FUTEX_TID_MASK) == 0 ||
         (static_cast<unsigned>(word) & FUTEX_OWNER_DIED) != 0;
}

std::uint32_t* RobustMutex::word() noexcept {
  return reinterpret_cast<std::uint32_t*>(&mutex_.__data.__lock);
}

void LoggedMutex::initialise() noexcept {
  mutex_.initialise();
  committed_.store(0, std::memory_order_relaxed);
  collected_ = 0;
}

void LoggedMutex::lock() noexcept {
  if (mutex_.lock()) apply();
  collected_ = 0;
}

void LoggedMutex::set(std::uint64_t* word, std::uint64_t value) noexcept {
  if (collected_ == capacity) std::abort();  // REQUIRES: at most `capacity` words
  entries_[collected_++] = {word, value};
}

void LoggedMutex::free_block(void* block) noexcept {
  set(nullptr, reinterpret_cast<std::uint64_t>(block));
}

void LoggedMutex::commit() noexcept {
  committed_.store(collected_, std::memory_order_release);
  apply();
}

void LoggedMutex::apply() noexcept {
  const std::uint32_t count = committed_.load(std::memory_order_acquire);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (entries_[i].word != nullptr) {
      std::atomic_ref<std::uint64_t>(*entries_[i].word)
          .store(entries_[i].value, std::memory_order_release);
    } else {
      return_dying_block(reinterpret_cast<void*>(entries_[i].value));
    }
  }
  committed_.store(0, std::memory_order_release);
}

}  // namespace procession::detail
