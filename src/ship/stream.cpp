#include "procession/detail/stream.hpp"

#include <algorithm>
#include <string>
#include <typeindex>
#include <unordered_map>

#include "procession/detail/type_name.hpp"
#include "procession/errors.hpp"

namespace procession::detail {

// The buffers of one thread, a stack: the first serves every message that is not made while
// another one is. They are never given back while the thread lives.
struct Writer::Scratch {
  static constexpr std::size_t bytes = 16 << 10;
  alignas(16) std::byte data[bytes];
  std::unique_ptr<Scratch> next;
  bool busy = false;

  static Scratch* acquire() {
    static thread_local const std::unique_ptr<Scratch> first(new Scratch);
    Scratch* scratch = first.get();
    while (scratch->busy) {
      if (!scratch->next) scratch->next.reset(new Scratch);
      scratch = scratch->next.get();
    }
    scratch->busy = true;
    return scratch;
  }
};

struct Writer::Tracked {
  struct Key {
    const void* pointer;
    std::type_index type;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<const void*>()(key.pointer) * 31 + key.type.hash_code();
    }
  };
  std::unordered_map<Key, std::uint32_t, Hash> numbers;
  std::vector<bool> open;
};

Writer::Writer(std::string_view call, std::size_t prefix) : call_(call) {
  scratch_ = Scratch::acquire();
  data_ = scratch_->data;
  capacity_ = Scratch::bytes;
  try {
    std::memset(reserve(prefix), 0, prefix);
  } catch (...) {
    scratch_->busy = false;
    throw;
  }
}

Writer::~Writer() {
  if (in_block_) deallocate(data_);
  scratch_->busy = false;
}

// Room beyond what is asked for keeps a large value followed by small ones from being copied
// again; pages that stay untouched cost nothing.
void Writer::grow(std::size_t bytes) {
  if (bytes > family_reserve) throw OutOfMemory(bytes, family_reserve, "send less at once");
  const std::size_t needed = size_ + bytes;
  auto* block = static_cast<std::byte*>(allocate(std::max(2 * capacity_, needed + Scratch::bytes)));
  std::memcpy(block, data_, size_);
  if (in_block_) deallocate(data_);
  data_ = block;
  capacity_ = block_size(block);
  in_block_ = true;
}

void Writer::add_handle(Object* object) {
  if (std::find(handles_.begin(), handles_.end(), object) == handles_.end()) {
    handles_.push_back(object);
  }
}

void Writer::add_module(std::uint32_t module) {
  if (std::find(modules_.begin(), modules_.end(), module) == modules_.end()) {
    modules_.push_back(module);
  }
}

std::pair<std::uint32_t, bool> Writer::track(const void* pointer, const std::type_info& type) {
  if (!tracked_) tracked_ = std::make_unique<Tracked>();
  const auto next = static_cast<std::uint32_t>(tracked_->open.size());
  const auto [at, is_new] = tracked_->numbers.try_emplace({pointer, type}, next);
  if (is_new) {
    tracked_->open.push_back(true);
  } else if (tracked_->open[at->second]) {
    throw NotShippable(std::string(call_) +
                       ": an object that a shared_ptr holds contains, through further shared_ptrs, "
                       "itself; break the cycle, or send indices in its place");
  }
  return {at->second, is_new};
}

void Writer::close(std::uint32_t number) noexcept { tracked_->open[number] = false; }

void* Writer::finish() {
  std::byte* block = data_;
  if (!in_block_) {
    block = static_cast<std::byte*>(allocate(std::max<std::size_t>(size_, 1)));
    std::memcpy(block, data_, size_);
  }
  try {
    for (Object* object : handles_) carry_handle(block, object);
  } catch (...) {
    if (!in_block_) deallocate(block);  // else the destructor does
    throw;
  }
  data_ = scratch_->data;
  capacity_ = Scratch::bytes;
  size_ = 0;
  in_block_ = false;
  handles_.clear();
  modules_.clear();
  tracked_.reset();
  return block;
}

void throw_truncated(std::size_t wanted, std::size_t left) {
  throw ProcessError("a message ends early: " + std::to_string(wanted) + " bytes wanted, " +
                     std::to_string(left) +
                     " left; sender and receiver were built from different code, or the message "
                     "is damaged");
}

void throw_from_stranger(const char* what) {
  throw ProcessError(std::string("a message from another program holds ") + what +
                     ", which means something among the processes of one family only; send values");
}

}  // namespace procession::detail
