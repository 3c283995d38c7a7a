// A hash table from identifiers to how often they were seen, made for counting and merging.
//
// Invariants:
//   1. size_ is at most half of the slots; an empty slot has length 0.
//   2. A name stands at or after slot `hash >> shift_`, with no empty slot between: the slots are
//      in order of hash, but for short runs. Merging the slots of one table into another thus
//      walks the other from front to back, which is what makes merging cheap.
//   3. Equal hashes do not make equal names: the bytes decide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headers {

std::uint64_t hash_name(std::string_view name) noexcept;

struct IdentifierCount {
  std::string_view name;
  std::uint64_t files = 0;
  std::uint64_t occurrences = 0;
  friend bool operator==(const IdentifierCount&, const IdentifierCount&) = default;
};

// Not thread-safe. Names are copied into the table. Throws std::length_error past 4 GiB of names.
class IdentifierTable {
 public:
  explicit IdentifierTable(std::size_t expected = 1024);

  // One occurrence in file number `file`; a file's occurrences are counted in one go.
  void count(std::string_view name, std::uint32_t file);

  // Adds what another table has counted for `name`, over other files.
  void add(std::string_view name, std::uint64_t hash, std::uint32_t files,
           std::uint64_t occurrences);

  // Makes room for `names` more. Needed before names are added in order of hash: without it they
  // would fill the front of a table that is too small for all, slot by slot, and each would search
  // through all those before it.
  void reserve(std::size_t names);

  std::size_t size() const noexcept { return size_; }

  // Calls visit(name, hash, files, occurrences) for each name, nearly in order of hash.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.length != 0) visit(name_of(slot), slot.hash, slot.files, slot.occurrences);
    }
  }

  // All zeroes when the name was never seen.
  IdentifierCount find(std::string_view name) const noexcept;

 private:
  struct Slot {
    std::uint64_t hash;
    std::uint64_t occurrences;
    std::uint32_t offset;
    std::uint32_t length;
    std::uint32_t files;
    std::uint32_t last_file;  // 1 + the number of the file that was counted last
  };

  std::string_view name_of(const Slot& slot) const noexcept {
    return {names_.data() + slot.offset, slot.length};
  }
  std::size_t slot_for(std::string_view name, std::uint64_t hash) const noexcept;
  Slot& obtain(std::string_view name, std::uint64_t hash);
  void resize(unsigned bits);

  std::vector<Slot> slots_;
  std::string names_;
  std::size_t size_ = 0;
  unsigned shift_ = 0;
};

}  // namespace headers
