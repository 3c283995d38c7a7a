// A block of memory with a name, which programs outside the family can map, too.
//
//   auto block = mp::SharedMemory::create(1 << 20, "camera");   // bytes; all zero
//   std::span<std::byte> bytes = block.buffer();
//   mp::Process worker([block] { fill(block.buffer()); });      // a handle: captured by value
//   ...
//   auto block = mp::SharedMemory::attach("camera");            // in another program
//   auto block = shared_memory.SharedMemory("camera")           # in a Python program
//
// It is POSIX shared memory, a file in /dev/shm of mode 0600, as shm_open() and Python's
// multiprocessing.shared_memory make it. Within the family an Array or Value is less to care for.
// (Python before 3.13 takes what it attaches to for its own, and removes the name at its end:
// there call resource_tracker.unregister(block._name, "shared_memory"); from 3.13, track=False.)
//
// What each call makes of each state:
//
// clang-format off
// |          | name there    | name removed            | closed here   | empty handle |
// | create   | StateError    | a new block             | -             | -            |
// | attach   | maps it       | StateError              | -             | -            |
// | buffer   | the bytes     | the bytes               | StateError    | StateError   |
// | name     | the name      | the name that it had    | as before     | StateError   |
// | size     | the size      | the size                | as before     | StateError   |
// | close    | unmaps        | unmaps                  | nothing       | StateError   |
// | unlink   | removes it    | StateError              | as before     | StateError   |
// clang-format on
//
// Handles and processes. A SharedMemory is a handle: copies name the same block, in every process
// of the family. A process maps it when it first asks for buffer(), and keeps it mapped while it
// has a copy of the handle, or until close(). That works also where the name has been removed, or
// given to another block, meanwhile. close() is this process's: all its copies are closed, for good
// while one of them exists; other processes go on. A child by StartMethod::Fork has what its parent
// had, mapped or closed. Two calls of attach() are two handles that know nothing of each other.
//
// The name stays when the last handle goes, as in Python. It goes with unlink(), or with the family
// of its creator: however its processes end, if by SIGKILL all at once, the name is removed when
// the last of them is gone. Families that attach never remove it. The memory is there until
// the name is gone, nobody has it mapped, and no family that made or attached it has a handle, be
// that closed. A name that somebody else has removed, and given
// to a block of their own, is not touched. (The kernel can only remove by name: who does both in
// the microseconds between our look and the removal loses the new name.)
//
// Names are removed by a small process of the family, the keeper, that the first create() or
// attach() starts; see docs/decisions/0009-shared-memory-names.md. If it is killed, the next
// create(), attach(), unlink() or orderly end of a process of the family starts another. Only who
// kills it and then all others (or all at once) leaves names behind. create() needs a program
// whose main() is diverted (main.hpp), else it throws StateError.
//
// Killing a process changes nothing that it has not written. A creator that is killed inside
// create() leaves a whole block under the name, or nothing: nobody can attach half of one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "procession/detail/handle.hpp"

namespace procession {

namespace detail {

// For each handle of this process; the last one to go unmaps the block.
void count_block_handle(Object* block);
void drop_block_handle(Object* block) noexcept;

}  // namespace detail

// A handle. All methods may be called from any thread; on an empty (moved-from) handle they throw
// StateError. None blocks for longer than the kernel takes to make or map the memory. The bytes are
// shared as they are: who writes them at the same time agrees on a lock, or uses std::atomic_ref.
class SharedMemory : public detail::HandleBase {
 public:
  // Names no block, as after a move: to be assigned to.
  SharedMemory() noexcept = default;
  // Copies throw OutOfMemory, and only where this process had no handle to it.
  SharedMemory(const SharedMemory& other) : HandleBase(other) { count(); }
  SharedMemory(SharedMemory&&) noexcept = default;
  SharedMemory& operator=(SharedMemory other) noexcept {
    const SharedMemory before(std::move(*this));
    HandleBase::operator=(std::move(other));
    return *this;
  }
  ~SharedMemory() {
    if (handle_object() != nullptr) detail::drop_block_handle(handle_object());
  }

  // A block of `size` bytes, all zero. Its pages are there: no write to it meets a full /dev/shm.
  // An empty name: one that nobody has is made up. A name has up to 255 bytes, no '/' but perhaps
  // one at its beginning, which does not count, and no NUL; it is not "." or "..".
  // Throws std::invalid_argument (such a name, or size 0); StateError (the name exists; main() is
  // not diverted); SystemError, code() ENOSPC where /dev/shm has not so much room; OutOfMemory (the
  // family memory).
  static SharedMemory create(std::size_t size, std::string name = {});

  // The block of that name, whoever made it, in its size of now. The bytes of a block that another
  // program made may be without pages: writing where /dev/shm is full is then a SIGBUS, as it is
  // past the end of a block that another program has made shorter.
  // Throws std::invalid_argument (as above; an empty name); StateError (there is none, or its maker
  // has not sized it yet); SystemError (not permitted, no file of memory); OutOfMemory.
  static SharedMemory attach(std::string name);

  // The bytes, size() of them, at this process's own address, a multiple of the page size. They
  // are valid until this process closes the block or its last handle to it goes. The first call
  // in a process maps it, and may throw SystemError; and StateError where the name is no longer
  // the block's and the keeper was killed meanwhile. Costs a look into a table: keep the span.
  [[nodiscard]] std::span<std::byte> buffer() const;

  // Without a '/'.
  [[nodiscard]] std::string name() const;
  // Bytes, as they were given to create(), or found by attach().
  [[nodiscard]] std::size_t size() const;

  // Unmaps the block in this process. No thread may use its bytes any more.
  void close() const;

  // Removes the name now. Who has a handle goes on; the name can be given to another block. The
  // creator's or not, any handle can do that. Throws StateError where the name is not this block's
  // any more; SystemError (not permitted).
  void unlink() const;

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static SharedMemory from_object(detail::Object* object);

 private:
  // Takes over the reference; the handle is counted already.
  explicit SharedMemory(detail::Object* owned) noexcept : HandleBase(owned) {}
  void count() const {
    if (handle_object() != nullptr) detail::count_block_handle(handle_object());
  }
};

}  // namespace procession
