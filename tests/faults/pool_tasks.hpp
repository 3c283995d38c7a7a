// Tasks of the pool's cases: what they give, whether it is whole, and how often each item was
// begun.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "family.hpp"

namespace procession::faults {

// In memory that every process here sees.
struct Runs {
  std::atomic<std::uint32_t> begun[16];
};
SharedBox<Runs>& runs();

struct Wide {
  std::array<std::uint64_t, 8> words;
};

// Tasks: a plain result, a boxed one, std::out_of_range "no item 7".
Wide run_flat(int item);
std::string run_boxed(int item);
std::string run_throwing(int item);

bool is_whole(const Wide& result, int item);
bool is_whole(const std::string& result, int item);

}  // namespace procession::faults
