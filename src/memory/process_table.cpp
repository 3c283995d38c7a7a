#include "memory/process_table.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "system/proc.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t first_chunk = ProcessTable::first_chunk;

struct Place {
  std::size_t chunk;
  std::size_t offset;
};

// Slots are numbered from 1: number 0 is nobody.
Place place_of(std::uint32_t index) noexcept {
  const std::size_t n = index - 1 + first_chunk;
  const auto chunk = static_cast<std::size_t>(std::bit_width(n / first_chunk)) - 1;
  return {chunk, n - (first_chunk << chunk)};
}

// Adds the next chunk of slots; another process may have done so first.
void add_chunk(std::size_t chunk) {
  auto& home = family().processes.chunks[chunk];
  const std::size_t bytes = sizeof(ProcessSlot) * (first_chunk << chunk);
  void* block = allocate_block(bytes, BlockKind::Plain);
  std::memset(block, 0, bytes);
  // One store, and no mutex: whoever comes second gives its chunk back.
  if (!hand_over_first(block, home)) deallocate(block);
}

bool try_claim(std::uint32_t index) noexcept {
  auto& state = slot_at(index).state;
  std::uint64_t word = state.load(std::memory_order_acquire);
  const SlotWord old = SlotWord::from(word);
  if (old.state != SlotState::Free) return false;
  const SlotWord mine{SlotState::Starting, self_index(), old.generation};
  return state.compare_exchange_strong(word, mine.word(), std::memory_order_acq_rel);
}

std::uint64_t done_bit(std::uint32_t generation) noexcept {
  return std::uint64_t{1} << generation % 64;
}

std::uint32_t find_and_claim() {
  auto& chunks = family().processes.chunks;
  std::uint32_t index = 1;
  for (std::size_t chunk = 0; chunk < std::size(chunks); ++chunk) {
    if (chunks[chunk].load(std::memory_order_acquire) == nullptr) add_chunk(chunk);
    for (std::size_t i = 0; i < first_chunk << chunk; ++i, ++index) {
      if (try_claim(index)) return index;
    }
    // Before the table grows, the slots of the dead are made free.
    if (chunk + 1 < std::size(chunks) &&
        chunks[chunk + 1].load(std::memory_order_acquire) == nullptr && sweep_dead_processes()) {
      return find_and_claim();
    }
  }
  return 0;  // 16 million processes: more than the kernel has
}

}  // namespace

[[gnu::hot]] ProcessSlot& slot_at(std::uint32_t index) noexcept {
  const Place place = place_of(index);
  auto* chunk = static_cast<ProcessSlot*>(
      family().processes.chunks[place.chunk].load(std::memory_order_acquire));
  return chunk[place.offset];
}

std::uint32_t slot_limit() noexcept {
  std::size_t slots = 0;
  for (std::size_t chunk = 0; chunk < std::size(family().processes.chunks); ++chunk) {
    if (family().processes.chunks[chunk].load(std::memory_order_acquire) == nullptr) break;
    slots += first_chunk << chunk;
  }
  return static_cast<std::uint32_t>(slots + 1);
}

void copy_text(char* to, std::size_t room, std::string_view text) noexcept {
  const std::size_t length = std::min(room - 1, text.size());
  if (length != 0) std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

std::uint32_t claim_slot(std::string_view name, bool daemon) {
  const std::uint32_t index = find_and_claim();
  if (index == 0) throw std::bad_alloc();
  ProcessSlot& slot = slot_at(index);
  slot.ledger.store(nullptr, std::memory_order_relaxed);
  slot.hands.store(nullptr, std::memory_order_relaxed);
  slot.task.store(nullptr, std::memory_order_relaxed);
  slot.life.initialise();
  slot.pid.store(0, std::memory_order_relaxed);
  slot.parent = self_index();
  slot.parent_generation = generation_of(self_index());
  slot.daemon = daemon;
  slot.parent_pid = getpid();
  slot.parent_daemon = 0;
  slot.uncollected = 0;
  slot.parent_name[0] = '\0';
  if (have_family()) {
    slot.parent_daemon = self().daemon;
    copy_text(slot.parent_name, sizeof slot.parent_name, self().name);
  }
  slot.joined = 0;
  slot.own_status = SIGKILL;  // until it says better
  copy_text(slot.name, sizeof slot.name, name);
  slot.report.store(0, std::memory_order_relaxed);
  slot.report_error = 0;
  slot.report_phase[0] = slot.report_text[0] = '\0';
  slot.user_ns = slot.system_ns = slot.peak_bytes = 0;
  slot.done.fetch_and(~done_bit(generation_of(index)), std::memory_order_relaxed);
  slot.ended.store(0, std::memory_order_release);
  return index;
}

[[gnu::hot]] bool join_slot(std::uint32_t index, std::uint32_t generation) noexcept {
  ProcessSlot& slot = slot_at(index);
  std::uint64_t word = slot.state.load(std::memory_order_acquire);
  SlotWord mine = SlotWord::from(word);
  if (mine.state != SlotState::Starting || mine.generation != generation) return false;
  if (!slot.life.try_lock()) return false;  // else held for as long as this thread lives
  slot.pid.store(getpid(), std::memory_order_relaxed);
  slot.joined = ticks_since_boot();
  mine.state = SlotState::Alive;
  return slot.state.compare_exchange_strong(word, mine.word(), std::memory_order_acq_rel);
}

std::uint32_t generation_of(std::uint32_t index) noexcept {
  return SlotWord::from(slot_at(index).state.load(std::memory_order_acquire)).generation;
}

[[gnu::hot]] void note_done() noexcept {
  self().done.fetch_or(done_bit(generation_of(self_index())), std::memory_order_release);
}

bool was_done(std::uint32_t index, std::uint32_t generation) noexcept {
  if (generation_of(index) - generation >= 64) return true;
  return (slot_at(index).done.load(std::memory_order_acquire) & done_bit(generation)) != 0;
}

bool slot_is_dead(const ProcessSlot& slot) noexcept {
  if (!slot.life.holder_died()) return false;
  // The thread that held the token may have ended before its process: the kernel decides.
  const pid_t pid = slot.pid.load(std::memory_order_acquire);
  const auto stat = read_stat(pid);
  // Whoever has that pid now and began after the member joined is somebody else.
  if (!stat || stat->start_time > slot.joined) return true;
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return errno == ESRCH;
  pollfd wait{pidfd, POLLIN, 0};
  const bool ended = poll(&wait, 1, 0) == 1;
  close(pidfd);
  return ended;
}

bool same_member(std::uint32_t index, std::uint32_t generation) noexcept {
  if (index == 0 || index >= slot_limit()) return false;
  const SlotWord word = SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
  return word.generation == generation &&
         (word.state == SlotState::Starting || word.state == SlotState::Alive);
}

}  // namespace procession::detail
