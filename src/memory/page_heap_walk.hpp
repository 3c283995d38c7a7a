// The walk over the runs of the page heap; part of page_heap.hpp.
#pragma once

#include "memory/family.hpp"
#include "memory/page_heap.hpp"

namespace procession::detail {

template <class Visit>
void for_each_run(Visit visit) {
  RobustGuard guard(family().page_mutex);
  const std::size_t top = family().top.load(std::memory_order_acquire);
  for (std::size_t page = 0; page < top;) {
    const PageRun run = PageRun::from(page_word(page).load(std::memory_order_acquire));
    if (run.kind == PageKind::Slab || run.kind == PageKind::Large) visit(page, run);
    page += run.pages;
  }
}

}  // namespace procession::detail
