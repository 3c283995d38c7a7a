#include "family.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <new>
#include <sstream>
#include <system_error>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/process_table.hpp"
#include "memory/sweep.hpp"
#include "procession/memory.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {

using namespace detail;

namespace {

constexpr std::size_t more_than_kept = 65;  // blocks of a size
constexpr std::size_t most_small = 32 << 10;

SlotWord slot_word(std::uint32_t index) {
  return SlotWord::from(slot_at(index).state.load(std::memory_order_acquire));
}

std::size_t count_members() {
  std::size_t members = 0;
  for (std::uint32_t i = 1; i < slot_limit(); ++i) members += slot_word(i).state != SlotState::Free;
  return members;
}

std::string describe(void* block, const Contents::Block& is) {
  std::ostringstream out;
  out << block << " (" << is.bytes << " bytes, of process " << is.owner << ", home 0x" << std::hex
      << is.home << ")";
  return out.str();
}

}  // namespace

void FamilyFaults::SetUp() {
  if (auto reason = cannot_trace()) GTEST_SKIP() << *reason;
  ensure_family();
  // What this process makes once: a chunk of its ledger, the slabs of each size.
  release(create_object(ObjectKind::Test, sizeof(Object), "first"));
  return_kept_blocks();
  tidy_heap();
}

FaultReport kill_everywhere(FaultPlan& plan, std::size_t stride) {
  plan.stride = stride;
  FaultReport report = kill_at_every_instruction(plan);
  std::cout << report;
  EXPECT_TRUE(report.ok()) << report;
  EXPECT_GT(report.last_step, 0u);
  return report;
}

Contents Contents::look() {
  Contents now;
  for_each_run([&](std::size_t page, const PageRun& run) {
    for_each_block(page, [&](void* block) {
      now.blocks[block] = {block_size(block), run.owner, header_of(block).home()};
    });
  });
  const MemoryStats stats = memory_stats();
  now.blocks_reported = stats.blocks;
  now.bytes_reported = stats.in_use;
  now.members = count_members();
  return now;
}

std::string Contents::changes_since(const Contents& before) const {
  std::string changes;
  for (const auto& [block, is] : blocks) {
    if (!before.blocks.contains(block)) changes += " left: " + describe(block, is);
  }
  for (const auto& [block, was] : before.blocks) {
    if (!blocks.contains(block)) changes += " lost: " + describe(block, was);
  }
  const auto compare = [&](const char* what, std::size_t now, std::size_t was) {
    if (now == was) return;
    changes += std::string(" ") + what + " " + std::to_string(was) + " -> " + std::to_string(now);
  };
  compare("blocks", blocks_reported, before.blocks_reported);
  compare("bytes", bytes_reported, before.bytes_reported);
  compare("members", members, before.members);
  return changes;
}

void expect_same(const Trial& trial, const Contents& before) {
  const std::string changes = Contents::look().changes_since(before);
  trial.expect(changes.empty(), "the family memory holds what it held before;" + changes);
}

void bury_the_dead() {
  sweep_dead_processes();
  for (std::uint32_t i = 1; i < slot_limit(); ++i) {
    const SlotWord word = slot_word(i);
    if (word.state == SlotState::Ended && slot_at(i).parent == self_index()) {
      collect_slot(i, word.generation);
    }
  }
}

// --- use -------------------------------------------------------------------------------------

void use_blocks(const Trial& trial, std::size_t bytes) {
  const Contents before = Contents::look();
  std::vector<void*> mine;
  for (int i = 0; i < 3; ++i) {
    void* block = allocate(bytes);
    trial.expect(!before.blocks.contains(block), "a block is given to one process at a time");
    trial.expect(block_size(block) >= bytes, "a block has the bytes that were asked for");
    trial.expect(find_block(block) == block, "a block that was taken is found");
    std::memset(block, 0xa0 + i, block_size(block));
    mine.push_back(block);
  }
  for (int i = 0; i < 3; ++i) {
    auto* bytes_of = static_cast<unsigned char*>(mine[static_cast<std::size_t>(i)]);
    trial.expect(bytes_of[0] == 0xa0 + i && bytes_of[block_size(bytes_of) - 1] == 0xa0 + i,
                 "blocks do not overlap");
  }
  deallocate(mine[2]);
  mine[2] = allocate(bytes);
  for (void* block : mine) free_block(block);
}

void free_block(void* block) {
  std::atomic<void*> home{nullptr};
  hand_over(block, home);
  deallocate_if_home(block, home);
}

void return_kept_blocks() {
  std::vector<void*> taken;
  for (std::size_t bytes = 1;;) {
    taken.push_back(allocate(bytes));
    const std::size_t room = block_size(taken.back());
    if (room > most_small) break;  // a large block: of those none is kept
    while (taken.size() % more_than_kept != 0) taken.push_back(allocate(room));
    bytes = room + 1;
  }
  for (void* block : taken) free_block(block);
}

void tidy_heap() {
  for (std::uint8_t cls = 0; cls < size_classes; ++cls) {
    while (const std::size_t page = adopt_orphan(cls)) {
      std::size_t used = 0;
      for_each_block(page - 1, [&](void*) { ++used; });
      if (used == 0) give_pages(page - 1);
    }
  }
  // Longer than any free run that a case leaves: on the way to it all of them are merged.
  free_block(allocate(100 * page_bytes));
  family().dirty_free = 0;
}

std::size_t thread_table_pieces() {
  const auto& chunks = detail::thread_table().chunks;
  return static_cast<std::size_t>(
      std::ranges::count_if(chunks, [](const auto& chunk) { return chunk.load() != nullptr; }));
}

void run_and_end(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

std::vector<std::span<const std::byte>> family_words() {
  const auto bytes = [](const void* from, std::size_t count) {
    return std::span(static_cast<const std::byte*>(from), count);
  };
  std::vector<std::span<const std::byte>> words{bytes(&family(), sizeof(FamilyHeader))};
  const std::size_t top = family().top.load(std::memory_order_acquire);
  words.push_back(bytes(&page_word(0), top * sizeof(std::uint64_t)));
  for (std::uint32_t i = 1; i < 8; ++i) {
    words.push_back(bytes(&slot_at(i), offsetof(ProcessSlot, parent_name)));
  }
  for (std::size_t page = 0; page < top;) {
    const PageRun run = PageRun::from(page_word(page).load(std::memory_order_acquire));
    if (run.kind == PageKind::Slab) {
      const auto* slab = static_cast<const Slab*>(page_address(page));
      words.push_back(bytes(slab, slab->first));
    }
    if (run.pages == 0) break;
    page += run.pages;
  }
  return words;
}

void* map_shared(std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  return at;
}

void unmap_shared(void* at, std::size_t bytes) { ::munmap(at, bytes); }

}  // namespace procession::faults
