#include "memory/family.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "memory/heap.hpp"
#include "memory/references.hpp"
#include "memory/sweep.hpp"
#include "procession/errors.hpp"
#include "procession/memory.hpp"
#include "system/descriptor.hpp"
#include "system/errors.hpp"

namespace procession::detail {

std::size_t memory_limit_pages() noexcept;

namespace {

constexpr std::uint64_t family_magic = 0x6e6f697373656350;
constexpr std::uint64_t layout_version =
    sizeof(FamilyHeader) * 1000003 + sizeof(ProcessSlot) * 1009 + 1;

std::atomic<bool> ready{false};
std::mutex mutex;  // making or joining the family, once
int descriptor = -1;
KeeperSockets sockets;
std::uint32_t own_index = 0;
std::atomic<unsigned> epoch{0};
thread_local std::uint32_t next_fork_slot = 0;
thread_local std::uint32_t next_fork_generation = 0;

void map(int memory) {
  void* wanted = reinterpret_cast<void*>(family_base);
  void* at = mmap(wanted, family_reserve, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, memory, 0);
  if (at == wanted) return;
  const int error = at == MAP_FAILED ? errno : EEXIST;
  if (at != MAP_FAILED) munmap(at, family_reserve);
  throw_system_error(error, "map the family memory (" + std::to_string(family_reserve >> 30) +
                                " GiB of address space at a fixed address)");
}

void initialise_header(FamilyHeader& header) {
  header.magic = family_magic;
  header.layout = layout_version;
  header.pages = memory_limit_pages();
  header.page_mutex.initialise();
  header.sweep_mutex.initialise();
  header.keeper.mutex.initialise();
  header.names.mutex.initialise();
  for (LoggedMutex& shard : header.references) shard.initialise();
}

KeeperSockets make_keeper_sockets() {
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    throw_system_error(errno, "make the socket for descriptors on their way");
  }
  return {above_standard(pair[0]), above_standard(pair[1])};
}

void create() {
  const int memory = above_standard(memfd_create("procession", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (memory < 0) throw_system_error(errno, "create the family memory");
  try {
    // Sparse: what nobody writes costs nothing. The seals keep its size for good.
    if (ftruncate(memory, static_cast<off_t>(family_reserve)) != 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      throw_system_error(errno, "size the family memory");
    }
    sockets = make_keeper_sockets();
    map(memory);
  } catch (...) {
    if (sockets.asking >= 0) {
      close(sockets.asking);
      close(sockets.answering);
    }
    sockets = {};
    close(memory);
    throw;
  }
  descriptor = memory;
  initialise_header(family());
  own_index = 1;  // the root's slot is the first one
  const std::uint32_t index = claim_slot("MainProcess", false);
  slot_at(index).parent = slot_at(index).parent_generation = 0;
  if (!join_slot(index, generation_of(index))) std::abort();
}

[[noreturn]] void refuse(const char* sentence) {
  std::fprintf(stderr, "procession: %s\n", sentence);
  std::_Exit(127);
}

void join(const Inheritance& inherited) {
  descriptor = inherited.memory;
  sockets = {inherited.asking, inherited.answering};
  for (const int each : {descriptor, sockets.asking, sockets.answering}) {
    fcntl(each, F_SETFD, FD_CLOEXEC);
  }
  map(descriptor);
  if (family().magic != family_magic || family().layout != layout_version) {
    refuse("this program was built with another version of the library than the one that ran it");
  }
  own_index = inherited.slot;
  if (!join_slot(inherited.slot, inherited.generation)) {
    refuse("the process that started this one is gone");
  }
}

const Inheritance* read_inheritance() {
  static Inheritance read{};
  const char* text = std::getenv(inheritance_variable);
  if (text == nullptr) return nullptr;
  const int fields = std::sscanf(text, "%d,%d,%u,%u,%d,%d,%d,%d,%d", &read.memory, &read.channel,
                                 &read.slot, &read.generation, &read.life, &read.report,
                                 &read.asking, &read.answering, &read.keeper);
  unsetenv(inheritance_variable);  // not for the children of this one
  return fields == 9 ? &read : nullptr;
}

// Before a fork: the child gets a slot of its own and a reference to all that this process holds,
// before this process can drop any of it.
void prepare_fork() noexcept {
  if (!have_family()) return;
  lock_ledger_for_fork();
  try {
    if (next_fork_slot == 0) {
      next_fork_slot = claim_slot("forked", false);
      next_fork_generation = generation_of(next_fork_slot);
      slot_at(next_fork_slot).uncollected = 1;
    }
    copy_ledger_to(next_fork_slot);
  } catch (const std::exception&) {
    next_fork_slot = 0;  // the child is told when it uses the family
  }
  lock_heap_for_fork();
  errno = 0;  // see below
}

void parent_after_fork() noexcept {
  if (!have_family()) return;
  // Also called where there is no child; errno is then what tells.
  const bool failed = errno == EAGAIN || errno == ENOMEM;
  const std::uint32_t made = std::exchange(next_fork_slot, 0);
  unlock_heap_after_fork();
  unlock_ledger_after_fork();
  if (failed && made != 0 && slot_at(made).uncollected != 0) {
    collect_slot(made, next_fork_generation);
  }
}

// Hot, as all that every forked child runs: then it lies together, and costs few page faults.
[[gnu::hot]] bool child_after_fork() noexcept {
  if (!have_family()) return true;
  epoch.fetch_add(1, std::memory_order_relaxed);
  own_index = next_fork_slot;
  next_fork_slot = 0;
  unlock_heap_after_fork();  // held since prepare_fork()
  forget_inherited_heap();
  const bool joined = own_index != 0 && join_slot(own_index, next_fork_generation);
  if (joined) {
    take_over_ledger();
  } else {
    own_index = 0;
  }
  unlock_ledger_after_fork();
  return joined;
}

[[gnu::hot]] void child_handler() noexcept { (void)child_after_fork(); }

}  // namespace

const Inheritance* inheritance() noexcept {
  static const Inheritance* const read = read_inheritance();
  return read;
}

void ensure_family() {
  if (ready.load(std::memory_order_acquire)) {
    if (own_index != 0) return;
    throw OutOfMemory(
        "this forked process has no place in the family: the family memory was full "
        "when it was forked; free handles and results, or raise the limit");
  }
  std::lock_guard guard(mutex);
  if (ready.load(std::memory_order_relaxed)) return;
  if (const Inheritance* inherited = inheritance()) {
    join(*inherited);
  } else {
    create();
  }
  pthread_atfork(prepare_fork, parent_after_fork, child_handler);
  ready.store(true, std::memory_order_release);
}

[[gnu::hot]] bool have_family() noexcept { return ready.load(std::memory_order_acquire); }

int family_descriptor() noexcept { return descriptor; }

KeeperSockets keeper_sockets() noexcept { return sockets; }

[[gnu::hot]] ProcessSlot& self() noexcept { return slot_at(own_index); }

std::uint32_t self_index() noexcept { return own_index; }

unsigned fork_epoch() noexcept { return epoch.load(std::memory_order_relaxed); }

std::atomic<void*>& family_root(FamilyRoot root) noexcept {
  return family().roots[static_cast<std::size_t>(root)];
}

void before_raw_fork(std::uint32_t slot, std::uint32_t generation) noexcept {
  set_next_fork_slot(slot, generation);
  prepare_fork();
}

void after_raw_fork_in_parent() noexcept { parent_after_fork(); }

bool after_raw_fork_in_child() noexcept { return child_after_fork(); }

void set_next_fork_slot(std::uint32_t slot, std::uint32_t generation) noexcept {
  next_fork_slot = slot;
  next_fork_generation = generation;
}

// --- the limit -----------------------------------------------------------------------------

namespace {
std::atomic<std::size_t> wanted_limit{0};
}

std::size_t memory_limit_pages() noexcept {
  std::size_t bytes = wanted_limit.load(std::memory_order_relaxed);
  if (const char* text = std::getenv("PROCESSION_MEMORY_LIMIT"); bytes == 0 && text != nullptr) {
    bytes = std::strtoull(text, nullptr, 10);
  }
  if (bytes == 0) {
    // No more than the machine has: past that, writing would kill instead of throw.
    bytes = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
            static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  constexpr std::size_t most = (family_base + family_reserve - heap_begin) / page_bytes;
  const std::size_t pages = (bytes + page_bytes - 1) / page_bytes;
  return pages < 16 ? 16 : pages > most ? most : pages;
}

}  // namespace procession::detail

namespace procession {

void set_memory_limit(std::size_t bytes) {
  if (detail::have_family()) {
    throw StateError(
        "set_memory_limit() came after the first use of the library in this program; "
        "call it before any handle, Process or Pool is made");
  }
  detail::wanted_limit.store(bytes, std::memory_order_relaxed);
}

MemoryStats memory_stats() {
  detail::ensure_family();
  MemoryStats stats{};
  stats.limit = detail::family().pages * detail::page_bytes;
  detail::for_each_run([&](std::size_t page, const detail::PageRun& run) {
    stats.reserved += run.pages * detail::page_bytes;
    if (run.kind == detail::PageKind::Large) {
      stats.in_use += run.pages * detail::page_bytes;
      ++stats.blocks;
      return;
    }
    const auto* slab = static_cast<const detail::Slab*>(detail::page_address(page));
    detail::for_each_block(page, [&](void*) {
      stats.in_use += slab->block_bytes;
      ++stats.blocks;
    });
  });
  const detail::KeptBlocks kept = detail::kept_blocks();
  stats.in_use -= kept.bytes < stats.in_use ? kept.bytes : stats.in_use;
  stats.blocks -= kept.blocks < stats.blocks ? kept.blocks : stats.blocks;
  struct stat status {};
  if (fstat(detail::family_descriptor(), &status) == 0) {
    stats.touched = static_cast<std::size_t>(status.st_blocks) * 512;
  }
  return stats;
}

}  // namespace procession
