#include "path.hpp"

namespace procession::faults {

void Path::push_back(std::uintptr_t address) {
  std::size_t index = addresses_.size();
  Anchor best = index == 0 ? Anchor{} : anchors_.back();
  // The rounds of one `rep` instruction are steps, but only the first meets a breakpoint. The
  // instruction at which the process starts is no anchor: whether it counts is the kernel's affair.
  bool entered = index > 0 && address != addresses_.back() && address != addresses_.front();
  if (entered) {
    std::size_t hits = ++hits_[address];
    if (hits < best.hits + (index - best.index)) best = {index, hits};
  }
  addresses_.push_back(address);
  anchors_.push_back(best);
}

}  // namespace procession::faults
