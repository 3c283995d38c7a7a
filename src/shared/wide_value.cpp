#include "procession/detail/wide_value.hpp"

#include <algorithm>
#include <cstring>

namespace procession::detail {
namespace {

// The order between copies and `sequence` is carried by the words themselves: loads acquire, so
// what comes after them in the reader sees at least what came before the stores in the writer.
std::uint64_t load_word(std::uint64_t& word) noexcept {
  return std::atomic_ref<std::uint64_t>(word).load(std::memory_order_acquire);
}

void store_word(std::uint64_t& word, std::uint64_t value) noexcept {
  std::atomic_ref<std::uint64_t>(word).store(value, std::memory_order_release);
}

template <class Visit>
void for_each_word(const WideCopies& copies, std::size_t bytes, Visit visit) {
  for (std::size_t i = 0; i < copies.words && i * 8 < bytes; ++i) {
    visit(i, std::min<std::size_t>(8, bytes - i * 8));
  }
}

// Invariant 2 to invariant 1. REQUIRES: `writer` is the caller's.
void finish(WideValue& value, const WideCopies& copies) noexcept {
  const std::uint64_t sequence = value.sequence.load(std::memory_order_acquire);
  if (sequence % 2 == 0) return;
  for (std::size_t i = 0; i < copies.words; ++i) {
    store_word(copies.current[i], load_word(copies.staged[i]));
  }
  value.sequence.store(sequence + 1, std::memory_order_release);
}

}  // namespace

void wide_load(const WideValue& value, const WideCopies& copies, void* to, std::size_t bytes) {
  for (;;) {
    const std::uint64_t before = value.sequence.load(std::memory_order_acquire);
    std::uint64_t* from = before % 2 == 0 ? copies.current : copies.staged;
    for_each_word(copies, bytes, [&](std::size_t i, std::size_t length) {
      const std::uint64_t word = load_word(from[i]);
      std::memcpy(static_cast<std::byte*>(to) + i * 8, &word, length);
    });
    if (value.sequence.load(std::memory_order_relaxed) == before) return;
  }
}

void wide_store(WideValue& value, const WideCopies& copies, const Object& named, const void* from,
                std::size_t bytes) {
  CoreGuard guard(value.writer, named);
  finish(value, copies);
  for_each_word(copies, bytes, [&](std::size_t i, std::size_t length) {
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const std::byte*>(from) + i * 8, length);
    store_word(copies.staged[i], word);
  });
  value.sequence.store(value.sequence.load(std::memory_order_relaxed) + 1,
                       std::memory_order_release);
  finish(value, copies);
}

void wide_settle(WideValue& value, const WideCopies& copies, const Object& named) {
  if (value.sequence.load(std::memory_order_acquire) % 2 == 0) return;
  CoreGuard guard(value.writer, named);
  finish(value, copies);
}

}  // namespace procession::detail
