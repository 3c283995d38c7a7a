#include "memory/heap.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "memory/family.hpp"
#include "memory/page_heap.hpp"
#include "memory/references.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t large_offset = 64;  // a large block's memory, after its header
constexpr std::size_t most_kept = 64;     // free blocks a process keeps, per class

// Block sizes, header included. From 128 on multiples of 64, so that the memory is aligned so.
constexpr std::array<std::uint32_t, 36> class_bytes = {
    32,   48,   64,   80,   96,    128,   192,   256,   320,   384,   448,   512,
    640,  768,  896,  1024, 1280,  1536,  1792,  2048,  2560,  3072,  3584,  4096,
    5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384, 20480, 24576, 28672, 32768};
static_assert(class_bytes.size() <= size_classes);

std::size_t class_for(std::size_t bytes) noexcept {
  std::size_t wanted = bytes + sizeof(BlockHeader);
  if (bytes >= 64) wanted = std::max<std::size_t>(wanted, 128);  // aligned to 64 from there on
  return static_cast<std::size_t>(std::lower_bound(class_bytes.begin(), class_bytes.end(), wanted) -
                                  class_bytes.begin());
}

std::size_t slab_pages(std::uint32_t block_bytes) noexcept {
  return std::clamp<std::size_t>(std::size_t{block_bytes} * 32 / page_bytes, 1, 8);
}

// What this process takes blocks of one size from. Private memory, one mutex.
struct Bin {
  std::mutex mutex;
  std::vector<void*> kept;  // invariant 4
  std::vector<Slab*> slabs;
  std::size_t slab = 0;  // where the search is
  std::uint32_t word = 0;
  std::uint64_t candidates = 0;   // free bits of that word, not yet taken
  std::size_t found_in_pass = 0;  // free blocks, since the search began at slab 0
  std::size_t to_add = 0;         // slabs, before the next pass
  bool whole_pass = false;        // the search did begin at slab 0
};

[[gnu::hot]] std::array<Bin, class_bytes.size()>& bins() {
  alignas(Bin) static std::byte storage[sizeof(std::array<Bin, class_bytes.size()>)];
  static auto* made = new (storage) std::array<Bin, class_bytes.size()>;
  return *made;
}

void prepare_slab(void* begin, const PageRun& run) noexcept {
  auto* slab = static_cast<Slab*>(begin);
  const std::uint32_t bytes = class_bytes[run.size_class];
  const std::size_t room = run.pages * page_bytes;
  const auto most = static_cast<std::uint32_t>(room / bytes);
  const std::uint32_t words = (most + 63) / 64;
  // The memory after the header shall be 64-byte aligned: begin 16 bytes before such a place.
  std::uint32_t first = static_cast<std::uint32_t>(offsetof(Slab, free) + words * 8);
  first = (first + 16 + 63) / 64 * 64 - 16;
  slab->block_bytes = bytes;
  slab->first = first;
  slab->count = static_cast<std::uint32_t>((room - first) / bytes);
  slab->words = (slab->count + 63) / 64;
  for (std::uint32_t w = 0; w < slab->words; ++w) {
    const std::uint32_t left = slab->count - w * 64;
    slab->free[w].store(left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1,
                        std::memory_order_relaxed);
  }
}

void clear_header(void* block, BlockKind kind) noexcept {
  auto& header = header_of(block);
  header.references.store(nullptr, std::memory_order_relaxed);
  header.word().store(BlockHeader::pack(0, kind), std::memory_order_release);
}

void prepare_large(void* begin, const PageRun&) noexcept {
  clear_header(static_cast<std::byte*>(begin) + large_offset, BlockKind::Plain);
}

Slab* make_slab(std::size_t cls) {
  return static_cast<Slab*>(page_address(take_pages(PageKind::Slab, static_cast<std::uint8_t>(cls),
                                                    slab_pages(class_bytes[cls]), prepare_slab)));
}

void add_slab(Bin& bin, std::size_t cls) {
  const std::size_t orphan = adopt_orphan(static_cast<std::uint8_t>(cls));
  bin.slabs.reserve(bin.slabs.size() + 1);
  bin.slabs.push_back(orphan != 0 ? static_cast<Slab*>(page_address(orphan - 1)) : make_slab(cls));
}

// Moves the search to the next word with free blocks. A pass over all slabs that found little is
// followed by new slabs, so that the cost of searching stays a fraction of that of taking.
void search(Bin& bin, std::size_t cls) {
  for (;;) {
    if (bin.slab == bin.slabs.size()) {
      std::size_t capacity = 0;
      for (const Slab* slab : bin.slabs) capacity += slab->count;
      if (bin.to_add == 0 && bin.whole_pass && bin.found_in_pass * 8 <= capacity) {
        bin.to_add = 1 + bin.slabs.size() / 8;
        bin.whole_pass = false;
      }
      bin.word = 0;
      if (bin.to_add != 0) {
        add_slab(bin, cls);  // the search goes on there
        --bin.to_add;
      } else {
        bin.slab = 0;
        bin.found_in_pass = 0;
        bin.whole_pass = true;
        if (bin.slabs.empty()) continue;
      }
    }
    Slab& slab = *bin.slabs[bin.slab];
    while (bin.word < slab.words) {
      bin.candidates = slab.free[bin.word].load(std::memory_order_acquire);
      if (bin.candidates != 0) {
        bin.found_in_pass += static_cast<std::size_t>(std::popcount(bin.candidates));
        return;
      }
      ++bin.word;
    }
    bin.word = 0;
    ++bin.slab;
  }
}

void* take_small(std::size_t cls, BlockKind kind) {
  Bin& bin = bins()[cls];
  std::lock_guard guard(bin.mutex);
  if (!bin.kept.empty()) {
    void* block = bin.kept.back();
    bin.kept.pop_back();
    header_of(block).word().store(BlockHeader::pack(0, kind), std::memory_order_release);
    return block;
  }
  if (bin.candidates == 0) {
    if (bin.slab < bin.slabs.size()) ++bin.word;
    search(bin, cls);
  }
  Slab& slab = *bin.slabs[bin.slab];
  const int bit = std::countr_zero(bin.candidates);
  bin.candidates &= bin.candidates - 1;
  const std::size_t index = bin.word * 64 + static_cast<std::size_t>(bit);
  void* block = reinterpret_cast<std::byte*>(&slab) + slab.first + index * slab.block_bytes +
                sizeof(BlockHeader);
  clear_header(block, kind);  // invariant 3
  slab.free[bin.word].fetch_and(~(std::uint64_t{1} << bit), std::memory_order_acq_rel);
  return block;
}

void* take_large(std::size_t bytes, BlockKind kind) {
  if (bytes > family_reserve) bytes = family_reserve;  // refused below with the right sentence
  const std::size_t pages = (bytes + large_offset + page_bytes - 1) / page_bytes;
  const std::size_t page = take_pages(PageKind::Large, 0, pages, prepare_large);
  void* block = static_cast<std::byte*>(page_address(page)) + large_offset;
  clear_header(block, kind);
  return block;
}

struct Located {
  FoundRun found;
  Slab* slab;  // nullptr: a large block
  std::uint32_t index;
};

Located locate(const void* address) noexcept {
  Located at{find_run(address), nullptr, 0};
  if (at.found.run.kind != PageKind::Slab) return at;
  at.slab = static_cast<Slab*>(page_address(at.found.page));
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) -
                                               reinterpret_cast<std::byte*>(at.slab));
  at.index = offset < at.slab->first
                 ? at.slab->count
                 : static_cast<std::uint32_t>((offset - at.slab->first) / at.slab->block_bytes);
  return at;
}

void set_free(const Located& at) noexcept {
  if (at.slab == nullptr) {
    give_pages(at.found.page);
    return;
  }
  at.slab->free[at.index / 64].fetch_or(std::uint64_t{1} << (at.index % 64),
                                        std::memory_order_acq_rel);
}

// Own blocks of own slabs are kept for the next allocation.
bool keep(const Located& at, void* block) noexcept {
  if (at.slab == nullptr || at.found.run.owner != self_index()) return false;
  Bin& bin = bins()[at.found.run.size_class];
  std::lock_guard guard(bin.mutex);
  if (bin.kept.capacity() == 0) bin.kept.reserve(most_kept);
  if (bin.kept.size() >= most_kept) return false;
  clear_header(block, BlockKind::Plain);
  bin.kept.push_back(block);
  return true;
}

}  // namespace

void* allocate(std::size_t bytes, BlockKind kind) {
  ensure_family();
  return allocate_block(bytes, kind);
}

void* allocate_block(std::size_t bytes, BlockKind kind) {
  const std::size_t cls = class_for(bytes);
  return cls < class_bytes.size() ? take_small(cls, kind) : take_large(bytes, kind);
}

void deallocate(void* block) noexcept {
  if (block == nullptr) return;
  drop_references(block);
  const Located at = locate(block);
  if (!keep(at, block)) set_free(at);
}

void deallocate_if_home(void* block, const std::atomic<void*>& home) noexcept {
  if (!has_home(block, home)) return;
  const Located at = locate(block);
  drop_references(block);
  set_free(at);
}

bool has_home(void* block, const std::atomic<void*>& home) noexcept {
  return find_block(block) == block &&
         header_of(block).home() == reinterpret_cast<std::uintptr_t>(&home);
}

void set_home(void* block, const std::atomic<void*>& home) noexcept {
  auto& header = header_of(block);
  header.word().store(BlockHeader::pack(reinterpret_cast<std::uintptr_t>(&home), header.kind()),
                      std::memory_order_release);
}

void return_dying_block(void* block) noexcept {
  if (header_of(block).home() == BlockHeader::dying) set_free(locate(block));
}

bool hand_over_first(void* block, std::atomic<void*>& home) noexcept {
  auto& header = header_of(block);
  const BlockKind kind = header.kind();
  header.word().store(BlockHeader::pack(reinterpret_cast<std::uintptr_t>(&home), kind),
                      std::memory_order_release);
  void* expected = nullptr;
  if (home.compare_exchange_strong(expected, block, std::memory_order_acq_rel)) return true;
  header.word().store(BlockHeader::pack(0, kind), std::memory_order_release);
  return false;
}

void set_block_kind(void* block, BlockKind kind) noexcept {
  auto& header = header_of(block);
  header.word().store(BlockHeader::pack(header.home(), kind), std::memory_order_release);
}

std::size_t block_size(const void* block) noexcept {
  const Located at = locate(block);
  if (at.slab != nullptr) return at.slab->block_bytes - sizeof(BlockHeader);
  return at.found.run.pages * page_bytes - large_offset;
}

void hand_over(void* block, std::atomic<void*>& home) noexcept {
  set_home(block, home);
  home.store(block, std::memory_order_release);
}

void* find_block(const void* address) noexcept {
  if (!in_family(address) || reinterpret_cast<std::uintptr_t>(address) < heap_begin) return nullptr;
  const Located at = locate(address);
  if (at.found.run.kind == PageKind::Large) {
    return static_cast<std::byte*>(page_address(at.found.page)) + large_offset;
  }
  if (at.slab == nullptr || at.index >= at.slab->count) return nullptr;
  const std::uint64_t bits = at.slab->free[at.index / 64].load(std::memory_order_acquire);
  if ((bits >> (at.index % 64) & 1) != 0) return nullptr;
  return reinterpret_cast<std::byte*>(at.slab) + at.slab->first +
         std::size_t{at.index} * at.slab->block_bytes + sizeof(BlockHeader);
}

bool reachable(void* block) noexcept {
  const std::uint64_t home = header_of(block).home();
  if (home == BlockHeader::counted || home == BlockHeader::dying) return true;
  if (home == 0) return false;
  auto* word = reinterpret_cast<std::atomic<void*>*>(home);
  if (word->load(std::memory_order_acquire) != block) {
    // Somebody may just be taking it: then it has another home by the time it has left this one.
    return header_of(block).home() != home && reachable(block);
  }
  if (home < heap_begin) return true;  // a root or the process table
  return find_block(word) != nullptr;
}

KeptBlocks kept_blocks() noexcept {
  KeptBlocks all{};
  for (std::size_t cls = 0; cls < class_bytes.size(); ++cls) {
    Bin& bin = bins()[cls];
    std::lock_guard guard(bin.mutex);
    all.blocks += bin.kept.size();
    all.bytes += bin.kept.size() * class_bytes[cls];
  }
  return all;
}

[[gnu::hot]] void forget_inherited_heap() noexcept {
  // The vectors stay allocated: a child that runs on has more to do than to count them.
  new (&bins()) std::array<Bin, class_bytes.size()>;
}

void lock_heap_for_fork() noexcept {
  for (Bin& bin : bins()) bin.mutex.lock();
}

[[gnu::hot]] void unlock_heap_after_fork() noexcept {
  for (Bin& bin : bins()) bin.mutex.unlock();
}

}  // namespace procession::detail
