#include "memory/references.hpp"

#include <array>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"

namespace procession::detail {
namespace {

constexpr std::uint32_t object_magic = 0x6a626f50;

struct Hold {
  std::uint64_t handles;
  std::uint64_t* entry;  // in the ledger
};

struct Ledger {
  std::mutex mutex;
  std::unordered_map<Object*, Hold> holds;
  std::vector<std::uint64_t*> unused;  // entries of the chunks that are 0
};

[[gnu::hot]] Ledger& ledger() {
  alignas(Ledger) static std::byte storage[sizeof(Ledger)];
  static auto* made = new (storage) Ledger;
  return *made;
}

LoggedMutex& shard_of(const Object* object) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(object);
  return family().references[(address >> 6 ^ address >> 16) % reference_shards];
}

std::uint64_t as_word(const Object* object) noexcept {
  return reinterpret_cast<std::uint64_t>(object);
}

std::uint64_t load_word(std::uint64_t& word) noexcept {
  return std::atomic_ref<std::uint64_t>(word).load(std::memory_order_acquire);
}

// {references + 1, *entry = object} as one.
void enter(Object* object, std::uint64_t* entry) noexcept {
  auto& shard = shard_of(object);
  shard.lock();
  shard.set(&object->references, object->references + 1);
  shard.set(entry, as_word(object));
  shard.commit();
  shard.unlock();
}

bool has_belongings(Object* object) noexcept {
  return object->homes != 0 ||
         header_of(object).references.load(std::memory_order_acquire) != nullptr;
}

// Frees what goes away with the object. Can be done twice.
void drop_belongings(Object* object) noexcept {
  auto* homes = reinterpret_cast<std::atomic<void*>*>(object + 1);
  for (std::size_t i = 0; i < object->homes; ++i) {
    void* block = homes[i].load(std::memory_order_acquire);
    if (block == nullptr) continue;
    if (has_home(block, homes[i])) finalize(block);
    deallocate_if_home(block, homes[i]);
    homes[i].store(nullptr, std::memory_order_release);
  }
  object->homes = 0;
  drop_references(object);
  // A link that its dropper was killed before clearing names nothing any more.
  header_of(object).references.store(nullptr, std::memory_order_release);
}

// {references - 1, *entry = 0} as one; with the last reference the object goes away.
void strike_out(Object* object, std::uint64_t* entry) noexcept {
  auto& shard = shard_of(object);
  shard.lock();
  while (load_word(*entry) == as_word(object) && object->references == 1 &&
         has_belongings(object)) {
    // Invariant 4. What it carries may have its count in the same shard.
    shard.unlock();
    drop_belongings(object);
    shard.lock();
  }
  if (load_word(*entry) == as_word(object)) {  // else a sweeper before us has done it
    shard.set(&object->references, object->references - 1);
    shard.set(entry, 0);
    if (object->references == 1) {
      auto& header = header_of(object);
      shard.set(&header.home_and_kind, BlockHeader::pack(BlockHeader::dying, BlockKind::Object));
      shard.free_block(object);
    }
    shard.commit();
  }
  shard.unlock();
}

// The chunk that hangs at `link`. A link may outlive its chunk for a moment (drop_chunks), so the
// chunk's own header decides.
template <class Chunk>
Chunk* chunk_at(const std::atomic<void*>& link) noexcept {
  void* block = link.load(std::memory_order_acquire);
  if (block == nullptr || find_block(block) != block) return nullptr;
  if (header_of(block).home() != reinterpret_cast<std::uintptr_t>(&link)) return nullptr;
  return static_cast<Chunk*>(block);
}

// Appends an empty chunk to the chain at `home`.
template <class Chunk>
Chunk* new_chunk(std::atomic<void*>& home) {
  auto* chunk = static_cast<Chunk*>(allocate(sizeof(Chunk)));
  std::memset(static_cast<void*>(chunk), 0, sizeof(Chunk));
  std::atomic<void*>* link = &home;
  while (auto* last = chunk_at<Chunk>(*link)) link = &last->next;
  hand_over(chunk, *link);
  return chunk;
}

// Strikes out and frees the chain at `home`, its last chunk first: at every moment what hangs
// there is whole, so whoever follows a dead sweeper goes on.
template <class Chunk>
void drop_chunks(std::atomic<void*>& home) noexcept {
  while (chunk_at<Chunk>(home) != nullptr) {
    std::atomic<void*>* link = &home;
    auto* chunk = chunk_at<Chunk>(home);
    while (auto* next = chunk_at<Chunk>(chunk->next)) {
      link = &chunk->next;
      chunk = next;
    }
    for (std::uint64_t& entry : chunk->objects) {
      if (const std::uint64_t word = load_word(entry); word != 0) {
        strike_out(reinterpret_cast<Object*>(word), &entry);
      }
    }
    deallocate_if_home(chunk, *link);
    link->store(nullptr, std::memory_order_release);
  }
}

// An unused entry of this process's ledger. REQUIRES: ledger().mutex.
std::uint64_t* unused_entry(Ledger& mine) {
  if (mine.unused.empty()) {
    mine.unused.reserve(LedgerChunk::entries);
    auto* chunk = new_chunk<LedgerChunk>(self().ledger);
    for (std::uint64_t& entry : chunk->objects) mine.unused.push_back(&entry);
  }
  std::uint64_t* entry = mine.unused.back();
  mine.unused.pop_back();
  return entry;
}

}  // namespace

Object* create_object(ObjectKind kind, std::size_t bytes, std::string_view name,
                      std::uint16_t homes) {
  ensure_family();
  auto* object = static_cast<Object*>(allocate(bytes, BlockKind::Object));
  std::memset(static_cast<void*>(object), 0, bytes);
  object->magic = object_magic;
  object->kind = kind;
  object->homes = homes;
  copy_text(object->name, sizeof object->name, name);
  Ledger& mine = ledger();
  std::lock_guard guard(mine.mutex);
  std::uint64_t* entry = nullptr;
  try {
    entry = unused_entry(mine);
    mine.holds.emplace(object, Hold{1, entry});
  } catch (...) {
    deallocate(object);
    throw;
  }
  auto& shard = shard_of(object);
  shard.lock();
  shard.set(&object->references, 1);
  shard.set(entry, as_word(object));
  shard.set(&header_of(object).home_and_kind,
            BlockHeader::pack(BlockHeader::counted, BlockKind::Object));
  shard.commit();
  shard.unlock();
  return object;
}

void retain(Object* object) {
  Ledger& mine = ledger();
  std::lock_guard guard(mine.mutex);
  if (const auto at = mine.holds.find(object); at != mine.holds.end()) {
    ++at->second.handles;
    return;
  }
  std::uint64_t* entry = unused_entry(mine);
  mine.holds.emplace(object, Hold{1, entry});
  enter(object, entry);
}

void release(Object* object) noexcept {
  Ledger& mine = ledger();
  std::lock_guard guard(mine.mutex);
  const auto at = mine.holds.find(object);
  if (at == mine.holds.end() || --at->second.handles != 0) return;
  std::uint64_t* entry = at->second.entry;
  mine.holds.erase(at);
  strike_out(object, entry);
  mine.unused.push_back(entry);
}

Object* object_at(const void* address) noexcept {
  if (!have_family()) return nullptr;
  void* block = find_block(address);
  if (block == nullptr || header_of(block).home() != BlockHeader::counted) return nullptr;
  auto* object = static_cast<Object*>(block);
  return object->magic == object_magic ? object : nullptr;
}

void carry_reference(void* block, Object* object) {
  auto& home = header_of(block).references;
  for (auto* list = chunk_at<ReferenceList>(home); list != nullptr;
       list = chunk_at<ReferenceList>(list->next)) {
    for (std::uint64_t& entry : list->objects) {
      if (load_word(entry) == 0) return enter(object, &entry);
    }
  }
  enter(object, &new_chunk<ReferenceList>(home)->objects[0]);
}

namespace {

std::array<CarryHook, 64>& carry_hooks() noexcept {
  static std::array<CarryHook, 64> table{};
  return table;
}

}  // namespace

void set_carry_hook(ObjectKind kind, CarryHook hook) noexcept {
  carry_hooks()[static_cast<std::size_t>(kind)] = hook;
}

void carry_handle(void* block, Object* object) {
  carry_reference(block, object);
  const CarryHook hook = carry_hooks()[static_cast<std::size_t>(object->kind)];
  if (hook != nullptr) hook(block, object);
}

void drop_references(void* block) noexcept {
  auto& home = header_of(block).references;
  if (home.load(std::memory_order_acquire) != nullptr) drop_chunks<ReferenceList>(home);
}

void lock_ledger_for_fork() noexcept { ledger().mutex.lock(); }
[[gnu::hot]] void unlock_ledger_after_fork() noexcept { ledger().mutex.unlock(); }

void copy_ledger_to(std::uint32_t index) {
  ProcessSlot& slot = slot_at(index);
  LedgerChunk* chunk = nullptr;
  std::size_t used = LedgerChunk::entries;
  for (const auto& [object, hold] : ledger().holds) {
    if (used == LedgerChunk::entries) {
      chunk = new_chunk<LedgerChunk>(slot.ledger);
      used = 0;
    }
    enter(object, &chunk->objects[used++]);
  }
}

[[gnu::hot]] void take_over_ledger() noexcept {
  Ledger& mine = ledger();
  mine.unused.clear();
  for (auto* chunk = chunk_at<LedgerChunk>(self().ledger); chunk != nullptr;
       chunk = chunk_at<LedgerChunk>(chunk->next)) {
    for (std::uint64_t& entry : chunk->objects) {
      const auto at = mine.holds.find(reinterpret_cast<Object*>(load_word(entry)));
      if (at != mine.holds.end()) {
        at->second.entry = &entry;
      } else {
        mine.unused.push_back(&entry);
      }
    }
  }
}

void forget_inherited_ledger() noexcept { new (&ledger()) Ledger; }

void drop_ledger(std::uint32_t index) noexcept { drop_chunks<LedgerChunk>(slot_at(index).ledger); }

void settle_transactions() noexcept {
  for (LoggedMutex& shard : family().references) {
    shard.lock();
    shard.unlock();
  }
}

}  // namespace procession::detail
