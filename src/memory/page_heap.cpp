#include "memory/page_heap.hpp"

#include <fcntl.h>
#include <linux/falloc.h>

#include <string>

#include "memory/family.hpp"
#include "memory/sweep.hpp"
#include "procession/errors.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t returned_run = 16;    // pages; smaller runs are kept touched
constexpr std::uint64_t kept_pages = 4096;  // free but touched: 256 MiB

// Gives the memory of a run that is still ours back to the machine.
void return_memory(std::size_t page, std::size_t pages) noexcept {
  const auto offset = static_cast<off_t>(heap_begin - family_base + page * page_bytes);
  // Failure costs memory, not correctness.
  (void)fallocate(family_descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                  static_cast<off_t>(pages * page_bytes));
}

void describe_inside(std::size_t page, std::size_t pages) noexcept {
  for (std::size_t i = 1; i < pages; ++i) {
    const PageRun inside{PageKind::Inside, 0, 0, static_cast<std::uint32_t>(i)};
    page_word(page + i).store(inside.word(), std::memory_order_relaxed);
  }
}

PageRun free_run(std::size_t pages) {
  return {PageKind::Free, 0, 0, static_cast<std::uint32_t>(pages)};
}

// Merges what follows the free run at `page` into it; its length.
std::size_t merge_free(std::size_t page, std::size_t top) noexcept {
  auto& header = family();
  std::size_t length = PageRun::from(page_word(page).load(std::memory_order_relaxed)).pages;
  while (page + length < top) {
    const PageRun next = PageRun::from(page_word(page + length).load(std::memory_order_relaxed));
    if (next.kind != PageKind::Free) break;
    if (header.hint.load(std::memory_order_relaxed) == page + length) {
      header.hint.store(page, std::memory_order_release);  // invariant 5, before the merge
    }
    length += next.pages;
    page_word(page).store(free_run(length).word(), std::memory_order_release);
  }
  return length;
}

// REQUIRES: page_mutex. Page number + 1, or 0 when there is no room.
std::size_t find_and_take(const PageRun& mine, PreparePages prepare) noexcept {
  auto& header = family();
  const std::size_t pages = mine.pages;
  const std::size_t top = header.top.load(std::memory_order_acquire);
  bool below_hint_is_full = true;
  for (std::size_t page = header.hint.load(std::memory_order_acquire); page < top;) {
    const PageRun run = PageRun::from(page_word(page).load(std::memory_order_relaxed));
    std::size_t length = run.pages;
    if (run.kind == PageKind::Free) {
      length = merge_free(page, top);
      if (length >= pages) {
        describe_inside(page, pages);
        if (length > pages) {
          page_word(page + pages).store(free_run(length - pages).word(), std::memory_order_release);
        }
        prepare(page_address(page), mine);
        page_word(page).store(mine.word(), std::memory_order_release);
        if (below_hint_is_full) header.hint.store(page + pages, std::memory_order_release);
        header.dirty_free -= header.dirty_free < pages ? header.dirty_free : pages;
        return page + 1;
      }
      below_hint_is_full = false;
    } else if (below_hint_is_full) {
      header.hint.store(page + length, std::memory_order_release);
    }
    page += length;
  }
  if (top + pages > header.pages) return 0;
  describe_inside(top, pages);
  prepare(page_address(top), mine);
  page_word(top).store(mine.word(), std::memory_order_release);
  header.top.store(top + pages, std::memory_order_release);
  return top + 1;
}

}  // namespace

std::atomic<std::uint64_t>& page_word(std::size_t page) noexcept {
  return reinterpret_cast<std::atomic<std::uint64_t>*>(descriptors_begin)[page];
}

void* page_address(std::size_t page) noexcept {
  return reinterpret_cast<void*>(heap_begin + page * page_bytes);
}

FoundRun find_run(const void* address) noexcept {
  std::size_t page = (reinterpret_cast<std::uintptr_t>(address) - heap_begin) / page_bytes;
  if (page >= family().top.load(std::memory_order_acquire)) return {page, {}};
  PageRun run = PageRun::from(page_word(page).load(std::memory_order_acquire));
  if (run.kind == PageKind::Inside && run.pages <= page) {
    page -= run.pages;
    run = PageRun::from(page_word(page).load(std::memory_order_acquire));
  }
  return {page, run};
}

std::size_t take_pages(PageKind kind, std::uint8_t size_class, std::size_t pages,
                       PreparePages prepare) {
  auto& header = family();
  const PageRun mine{kind, size_class, self_index(), static_cast<std::uint32_t>(pages)};
  for (bool swept = false;; swept = true) {
    if (pages < header.pages) {
      RobustGuard guard(header.page_mutex);
      if (const std::size_t found = find_and_take(mine, prepare); found != 0) return found - 1;
    }
    // What the dead still hold is the last reserve.
    if (swept || !sweep_dead_processes()) break;
  }
  throw OutOfMemory("the family memory is full: a block of " + std::to_string(pages * page_bytes) +
                    " bytes does not fit below its limit of " +
                    std::to_string(header.pages * page_bytes) +
                    " bytes; raise it with procession::set_memory_limit() or the environment "
                    "variable PROCESSION_MEMORY_LIMIT, or free handles and results");
}

void give_pages(std::size_t page) noexcept {
  auto& header = family();
  const std::size_t pages = PageRun::from(page_word(page).load(std::memory_order_acquire)).pages;
  const bool give_back = pages >= returned_run && header.dirty_free + pages > kept_pages;
  if (give_back) return_memory(page, pages);  // while the run is still ours
  RobustGuard guard(header.page_mutex);
  if (!give_back) header.dirty_free += pages;
  if (page < header.hint.load(std::memory_order_relaxed)) {
    header.hint.store(page, std::memory_order_release);  // invariant 5, before the run is free
  }
  page_word(page).store(free_run(pages).word(), std::memory_order_release);
}

std::size_t adopt_orphan(std::uint8_t size_class) noexcept {
  auto& orphans = family().orphans[size_class];
  // Cleared before the look: a sweep that ends meanwhile is not forgotten.
  if (orphans.load(std::memory_order_acquire) == 0 || orphans.exchange(0) == 0) return 0;
  std::size_t adopted = 0;
  bool more = false;
  for_each_run([&](std::size_t page, const PageRun& run) {
    if (run.kind != PageKind::Slab || run.owner != 0 || run.size_class != size_class) return;
    if (adopted != 0) {
      more = true;
      return;
    }
    PageRun mine = run;
    mine.owner = self_index();
    std::uint64_t expected = run.word();
    if (page_word(page).compare_exchange_strong(expected, mine.word())) adopted = page + 1;
  });
  if (more) orphans.store(1, std::memory_order_release);
  return adopted;
}

void announce_orphans() noexcept {
  for_each_run([](std::size_t, const PageRun& run) {
    if (run.kind != PageKind::Slab || run.owner != 0) return;
    family().orphans[run.size_class].store(1, std::memory_order_release);
  });
}

}  // namespace procession::detail
