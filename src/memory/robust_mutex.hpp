// Mutual exclusion between the processes of a family that outlives any of them.
//
// RobustMutex is a process-shared, robust pthread mutex: when its holder dies the kernel hands it
// to the next locker, who is told. LoggedMutex adds a redo log, so that several words change as
// one although a holder can be killed between any two instructions.
//
// LoggedMutex, invariants:
//   1. `committed_` is 0 whenever nobody holds the mutex and nobody died holding it.
//   2. Entries below `committed_` are complete; nobody writes an entry while `committed_` != 0.
//   3. A locker who follows a dead holder applies the entries of a committed log before anything
//      else. Applying is idempotent, so a death while applying is repaired in the same way.
// The single store that makes a transaction happen: `committed_` from 0 to the number of entries.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace procession::detail {

// Lives in the family memory. May block while another process is inside, never for a dead one.
class RobustMutex {
 public:
  void initialise() noexcept;
  // True: the previous holder died inside. What it guards must then be made good by the caller.
  bool lock() noexcept;
  [[nodiscard]] bool try_lock() noexcept;  // for a life token: nobody else ever wants it
  void unlock() noexcept;

  // A thread that locks a mutex for as long as it lives makes it its life token.
  [[nodiscard]] bool holder_died() const noexcept;
  [[nodiscard]] std::uint32_t* word() noexcept;

 private:
  pthread_mutex_t mutex_;
};

class RobustGuard {
 public:
  explicit RobustGuard(RobustMutex& mutex) noexcept : mutex_(mutex), holder_died_(mutex.lock()) {}
  ~RobustGuard() { mutex_.unlock(); }
  RobustGuard(const RobustGuard&) = delete;
  RobustGuard& operator=(const RobustGuard&) = delete;
  [[nodiscard]] bool previous_died() const noexcept { return holder_died_; }

 private:
  RobustMutex& mutex_;
  bool holder_died_;
};

class LoggedMutex {
 public:
  static constexpr std::size_t capacity = 6;

  void initialise() noexcept;
  void lock() noexcept;  // replays what a dead holder had committed
  void unlock() noexcept { mutex_.unlock(); }

  // REQUIRES: locked by this thread. Collects words, then changes them as one.
  void set(std::uint64_t* word, std::uint64_t value) noexcept;
  void free_block(void* block) noexcept;  // also returns a dying block to its slab
  void commit() noexcept;

 private:
  struct Entry {
    std::uint64_t* word;  // nullptr: `value` is a block to return
    std::uint64_t value;
  };
  void apply() noexcept;
  RobustMutex mutex_;
  std::atomic<std::uint32_t> committed_;
  std::uint32_t collected_;  // private to the holder
  std::array<Entry, capacity> entries_;
};

}  // namespace procession::detail
