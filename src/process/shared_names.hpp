// The names in /dev/shm that go with the family.
//
// A name there outlives every process. So each is listed in the family memory before it is there,
// and the keeper removes what is listed when no other process of the family is left.
//
// Invariants:
//   1. A file that the family has given a name is listed, with device and inode, from before it has
//      the name until after it has lost it.
//   2. The list, and names that the family gives, change under NameWords::mutex alone. So who holds
//      it knows that what is listed and is not there, or is another file, is stale: its maker died
//      before it gave the name, or somebody else has removed it.
//   3. Fields of a record are written only while it is Unused.
// The single stores: list: the record's `state`; name: linkat, which makes a whole file visible.
//
//   | who is killed              | what is left, and who removes it                           |
//   | before the name is there   | a stale record: used again by a later create               |
//   | between name and return    | the name: the keeper, at the family's end                  |
//   | in remove_name             | the name, or a stale record                                |
//   | the keeper                 | the names: another keeper, which the next create, attach,  |
//   |                            | unlink or orderly end of a process starts                  |
//   | the last process and the keeper at once | the names                                     |
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace procession::detail {

inline constexpr const char* shared_folder = "/dev/shm";

// Which file it is, whatever its name.
struct FileIdentity {
  std::uint64_t device, inode;
  static FileIdentity of(const struct stat& status) noexcept {
    return {status.st_dev, status.st_ino};
  }
  bool operator==(const FileIdentity&) const = default;
};

[[nodiscard]] std::string path_of_name(const std::string& name);

// Gives the open file, which has no name yet, this one. False: there is something of that name.
// Any thread; never blocks for longer than another process's call here. Throws OutOfMemory,
// SystemError. REQUIRES: a valid name; require_keeper().
[[nodiscard]] bool publish_name(const std::string& name, int file, const FileIdentity& identity);

// Removes the name if it is this file's. False: it is not, or not any more. Throws SystemError.
[[nodiscard]] bool remove_name(const std::string& name, const FileIdentity& identity);

// For the keeper: removes what is listed. REQUIRES: no other process is left.
void remove_family_names() noexcept;

// If names are listed, there is to be a keeper. At the orderly end of each process, and where it is
// cheap.
void guard_names() noexcept;

}  // namespace procession::detail
