// The walk over the blocks of a run; part of heap.hpp.
#pragma once

#include <bit>

#include "memory/heap.hpp"
#include "memory/page_heap.hpp"

namespace procession::detail {

template <class Visit>
void for_each_block(std::size_t page, Visit visit) {
  const PageRun run = PageRun::from(page_word(page).load(std::memory_order_acquire));
  auto* begin = static_cast<std::byte*>(page_address(page));
  if (run.kind == PageKind::Large) {
    visit(static_cast<void*>(begin + 64));
    return;
  }
  if (run.kind != PageKind::Slab) return;
  auto& slab = *reinterpret_cast<Slab*>(begin);
  for (std::uint32_t w = 0; w < slab.words; ++w) {
    const std::uint32_t left = slab.count - w * 64;
    const std::uint64_t existing = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    std::uint64_t used = ~slab.free[w].load(std::memory_order_acquire) & existing;
    for (; used != 0; used &= used - 1) {
      const std::uint32_t index = w * 64 + static_cast<std::uint32_t>(std::countr_zero(used));
      visit(static_cast<void*>(begin + slab.first + std::size_t{index} * slab.block_bytes +
                               sizeof(BlockHeader)));
    }
  }
}

}  // namespace procession::detail
