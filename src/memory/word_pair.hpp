// Two neighbouring words that change as one.
#pragma once

#include <cstdint>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PROCESSION_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(PROCESSION_TSAN)
#define PROCESSION_TSAN 1
#endif
#if defined(PROCESSION_TSAN)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace procession::detail {

// From {low, high} to {new_low, new_high}; false: they are something else. Sequentially consistent.
// REQUIRES: `pair` is aligned to 16 bytes.
inline bool replace_pair(void* pair, std::uint64_t low, std::uint64_t high, std::uint64_t new_low,
                         std::uint64_t new_high) noexcept {
#if defined(__x86_64__)
  __extension__ using Pair = unsigned __int128;
  bool done;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(done), "+m"(*static_cast<Pair*>(pair)), "+a"(low), "+d"(high)
               : "b"(new_low), "c"(new_high)
               : "memory");
  return done;
#elif defined(__aarch64__)
  std::uint64_t found_low, found_high;
  std::uint32_t failed;
  do {
    asm volatile("ldaxp %0, %1, [%2]" : "=&r"(found_low), "=&r"(found_high) : "r"(pair) : "memory");
    const bool same = found_low == low && found_high == high;
    // A pair that was read is whole only if it can be written back.
    asm volatile("stlxp %w0, %2, %3, [%1]"
                 : "=&r"(failed)
                 : "r"(pair), "r"(same ? new_low : found_low), "r"(same ? new_high : found_high)
                 : "memory");
    if (failed == 0 && !same) return false;
  } while (failed != 0);
  asm volatile("dmb ish" ::: "memory");
  return true;
#else
#error "no instruction is known here that changes two words as one"
#endif
}

// What ThreadSanitizer cannot see in that.
inline void pair_release([[maybe_unused]] void* pair) noexcept {
#if defined(PROCESSION_TSAN)
  __tsan_release(pair);
#endif
}
inline void pair_acquire([[maybe_unused]] void* pair) noexcept {
#if defined(PROCESSION_TSAN)
  __tsan_acquire(pair);
#endif
}

}  // namespace procession::detail
