#include "procession/shared_memory.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "memory/family.hpp"
#include "process/child.hpp"
#include "process/descriptor_keeper.hpp"
#include "process/shared_names.hpp"
#include "procession/errors.hpp"
#include "shared/mapped_blocks.hpp"
#include "system/descriptor.hpp"
#include "system/errors.hpp"

namespace procession {
namespace {

using detail::BlockShared;
using detail::Descriptor;
using detail::FileIdentity;
using detail::Object;

// A signal undoes what one call has allocated, so that it is no more than is soon done again.
constexpr std::size_t allocated_at_once = std::size_t{16} << 20;

// Without the '/' at its beginning that a POSIX name has.
std::string checked_name(std::string name) {
  const std::string given = name;
  if (!name.empty() && name.front() == '/') name.erase(0, 1);
  const char* fault = nullptr;
  if (name.empty()) {
    fault = "is empty";
  } else if (name.size() > NAME_MAX) {
    fault = "is longer than 255 bytes";
  } else if (name.find('/') != std::string::npos) {
    fault = "has a '/' in it";
  } else if (name.find('\0') != std::string::npos) {
    fault = "has a zero byte in it";
  } else if (name == "." || name == "..") {
    fault = "is that of a folder";
  }
  if (fault == nullptr) return name;
  throw std::invalid_argument("the name of shared memory '" +
                              given.substr(0, std::min<std::size_t>(given.find('\0'), 40)) + "' " +
                              fault + "; it is a plain file name, up to 255 bytes long");
}

std::string made_up_name() {
  std::array<unsigned char, 16> bytes{};
  while (getrandom(bytes.data(), bytes.size(), 0) < 0) {
    if (errno != EINTR) detail::throw_system_error(errno, "make up a name for shared memory");
  }
  std::string name = "procession-" + std::to_string(getpid()) + "-";
  for (const unsigned char byte : bytes) name += static_cast<char>('a' + byte % 26);
  return name;
}

[[noreturn]] void throw_no_room(std::size_t size, const std::string& free) {
  throw SystemError(ENOSPC, "allocate shared memory",
                    "cannot make shared memory of " + std::to_string(size) +
                        " bytes: " + detail::shared_folder + " has room for " + free +
                        " (ENOSPC); ask for less, or remove what is there");
}

// All its pages are there when this returns.
void fill(int file, std::size_t size) {
  struct statvfs room {};
  std::string free = "less";
  if (fstatvfs(file, &room) == 0 && room.f_blocks != 0) {  // no blocks: it has no limit
    const auto bytes = static_cast<std::size_t>(room.f_bavail) * room.f_frsize;
    free = std::to_string(bytes) + " bytes";
    if (size > bytes) throw_no_room(size, free);
  }
  for (std::size_t done = 0; done < size;) {
    const std::size_t next = std::min(size - done, allocated_at_once);
    const int error = posix_fallocate(file, static_cast<off_t>(done), static_cast<off_t>(next));
    if (error == ENOSPC || error == EFBIG) throw_no_room(size, free);
    if (error != 0 && error != EINTR) detail::throw_system_error(error, "allocate shared memory");
    if (error == 0) done += next;
  }
}

// Whole, and without a name: what has one is seen by everybody.
Descriptor make_unnamed(std::size_t size) {
  if (size > PTRDIFF_MAX) throw_no_room(size, "less");
  const int file = open(detail::shared_folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    detail::throw_system_error(errno, std::string("make a file in ") + detail::shared_folder);
  }
  Descriptor made(detail::above_standard(file));
  fill(made.get(), size);
  return made;
}

// The keeper may still have blocks that went just now. It reads in order: when it answers, it has
// let go of them.
Descriptor make_unnamed_where_room_is_made(std::size_t size) {
  try {
    return make_unnamed(size);
  } catch (const SystemError& error) {
    if (error.code() != ENOSPC) throw;
  }
  (void)detail::fetch_descriptor(0);  // a number that nothing has
  return make_unnamed(size);
}

struct stat status_of(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0) detail::throw_system_error(errno, "look at shared memory");
  return status;
}

// A new object with a reference of this process's, mapped and with an entry for one handle.
class NewBlock {
 public:
  NewBlock(const Descriptor& file, const struct stat& status, const std::string& name)
      : object_(
            detail::create_object(detail::ObjectKind::SharedMemory, sizeof(BlockShared), name)) {
    try {
      BlockShared& block = detail::block_of(object_);
      block.size = static_cast<std::uint64_t>(status.st_size);
      block.file = FileIdentity::of(status);
      set_name(name);
      if (detail::diverts()) {
        block.number = detail::family().numbers.fetch_add(1, std::memory_order_relaxed) + 1;
        detail::entrust_descriptor(object_, block.number, file.get());
      }
      detail::enter_block(object_, detail::map_file(file.get(), block));
    } catch (...) {
      detail::release(object_);
      throw;
    }
  }
  ~NewBlock() {
    if (object_ == nullptr) return;
    detail::drop_block_handle(object_);
    detail::release(object_);
  }
  NewBlock(const NewBlock&) = delete;
  NewBlock& operator=(const NewBlock&) = delete;

  void set_name(const std::string& name) {
    BlockShared& block = detail::block_of(object_);
    detail::copy_text(block.name, sizeof block.name, name);
    detail::copy_text(object_->name, sizeof object_->name, name);
  }
  [[nodiscard]] FileIdentity file() const { return detail::block_of(object_).file; }
  Object* release() noexcept { return std::exchange(object_, nullptr); }

 private:
  Object* object_;
};

}  // namespace

SharedMemory SharedMemory::create(std::size_t size, std::string name) {
  const bool any = name.empty();
  if (!any) name = checked_name(std::move(name));
  if (size == 0) {
    throw std::invalid_argument("shared memory of 0 bytes cannot be mapped; create at least 1");
  }
  detail::ensure_family();
  detail::require_keeper();
  const Descriptor file = make_unnamed_where_room_is_made(size);
  if (any) name = made_up_name();
  NewBlock block(file, status_of(file.get()), name);
  while (!detail::publish_name(name, file.get(), block.file())) {
    if (!any) {
      throw StateError("there is something named '" + name + "' in " + detail::shared_folder +
                       " already; attach() to it, or choose another name");
    }
    name = made_up_name();
    block.set_name(name);
  }
  return SharedMemory(block.release());
}

SharedMemory SharedMemory::attach(std::string name) {
  name = checked_name(std::move(name));
  detail::ensure_family();
  const std::string path = detail::path_of_name(name);
  const int opened = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (opened < 0 && errno == ENOENT) {
    throw StateError("there is no shared memory named '" + name +
                     "': nobody has made it, or it was removed; create() makes it");
  }
  if (opened < 0) detail::throw_system_error(errno, "attach to the shared memory '" + name + "'");
  const Descriptor file(detail::above_standard(opened));
  const struct stat status = status_of(file.get());
  if (!S_ISREG(status.st_mode)) {
    detail::throw_system_error(EINVAL, "attach to '" + path + "', which is no file of memory");
  }
  if (status.st_size == 0) {
    throw StateError("the shared memory '" + name +
                     "' is empty: its maker has not sized it yet; attach() when it has");
  }
  NewBlock block(file, status, name);
  return SharedMemory(block.release());
}

std::span<std::byte> SharedMemory::buffer() const {
  const auto& block = shared_as<BlockShared>("SharedMemory");
  return {detail::mapped_block(handle_object()), block.size};
}

std::string SharedMemory::name() const { return shared_as<BlockShared>("SharedMemory").name; }

std::size_t SharedMemory::size() const { return shared_as<BlockShared>("SharedMemory").size; }

void SharedMemory::close() const {
  (void)shared_as<BlockShared>("SharedMemory");
  detail::close_block(handle_object());
}

void SharedMemory::unlink() const {
  const auto& block = shared_as<BlockShared>("SharedMemory");
  const bool removed = detail::remove_name(block.name, block.file);
  detail::guard_names();
  if (removed) return;
  throw StateError("the name '" + std::string(block.name) +
                   "' is not this shared memory's any more: it was removed before; unlink() once");
}

SharedMemory SharedMemory::from_object(Object* object) {
  if (object != nullptr) {
    detail::retain(object);
    try {
      detail::count_block_handle(object);
    } catch (...) {
      detail::release(object);
      throw;
    }
  }
  return SharedMemory(object);
}

}  // namespace procession
