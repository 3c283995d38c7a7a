#include "identifier_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace headers {
namespace {

std::uint64_t load(const char* at, std::size_t bytes) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, bytes);
  return word;
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t odd_1 = 0x9E3779B97F4A7C15;
constexpr std::uint64_t odd_2 = 0xD6E8FEB86659FD93;

}  // namespace

// Multiply and fold. The result is the same in every process of a run, and that is all it must be:
// it never leaves the machine.
std::uint64_t hash_name(std::string_view name) noexcept {
  const char* at = name.data();
  std::size_t left = name.size();
  std::uint64_t hash = odd_1 * (left + 1);
  for (; left > 16; at += 8, left -= 8) hash = mix(hash ^ load(at, 8), odd_2);
  // The last words may overlap; the length, mixed in above, tells such names apart.
  std::uint64_t first = 0, last = 0;
  if (left >= 8) {
    first = load(at, 8);
    last = load(at + left - 8, 8);
  } else if (left >= 4) {
    first = load(at, 4);
    last = load(at + left - 4, 4);
  } else if (left > 0) {
    first = load(at, 1) | load(at + left / 2, 1) << 8;
    last = load(at + left - 1, 1);
  }
  return mix(mix(hash ^ first, odd_1) ^ last, odd_2);
}

IdentifierTable::IdentifierTable(std::size_t expected) {
  resize(static_cast<unsigned>(std::bit_width(std::max<std::size_t>(expected, 8) * 2 - 1)));
}

void IdentifierTable::count(std::string_view name, std::uint32_t file) {
  Slot& slot = obtain(name, hash_name(name));
  ++slot.occurrences;
  slot.files += slot.last_file != file + 1;
  slot.last_file = file + 1;
}

void IdentifierTable::add(std::string_view name, std::uint64_t hash, std::uint32_t files,
                          std::uint64_t occurrences) {
  Slot& slot = obtain(name, hash);
  slot.files += files;
  slot.occurrences += occurrences;
}

void IdentifierTable::reserve(std::size_t names) {
  const auto bits = static_cast<unsigned>(std::bit_width(2 * (size_ + names)));
  if (bits > 64 - shift_) resize(bits);
}

IdentifierCount IdentifierTable::find(std::string_view name) const noexcept {
  const Slot& slot = slots_[slot_for(name, hash_name(name))];
  return {name, slot.files, slot.occurrences};
}

// The slot of `name`, or the empty one where it would go.
std::size_t IdentifierTable::slot_for(std::string_view name, std::uint64_t hash) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(hash >> shift_);
  while (slots_[at].length != 0 && (slots_[at].hash != hash || name_of(slots_[at]) != name)) {
    at = (at + 1) & mask;
  }
  return at;
}

IdentifierTable::Slot& IdentifierTable::obtain(std::string_view name, std::uint64_t hash) {
  std::size_t at = slot_for(name, hash);
  if (slots_[at].length != 0) return slots_[at];
  if (2 * (size_ + 1) > slots_.size()) {
    resize(64 - shift_ + 1);
    at = slot_for(name, hash);
  }
  if (name.size() > std::numeric_limits<std::uint32_t>::max() - names_.size()) {
    throw std::length_error("headers: more than 4 GiB of distinct identifiers");
  }
  slots_[at] = {
      hash, 0, static_cast<std::uint32_t>(names_.size()), static_cast<std::uint32_t>(name.size()),
      0,    0};
  names_.append(name);
  ++size_;
  return slots_[at];
}

void IdentifierTable::resize(unsigned bits) {
  std::vector<Slot> old(std::size_t{1} << bits);
  old.swap(slots_);
  shift_ = 64 - bits;
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.length == 0) continue;
    std::size_t at = static_cast<std::size_t>(slot.hash >> shift_);
    while (slots_[at].length != 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace headers
