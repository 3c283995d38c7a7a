#include "channel/open_connections.hpp"

#include <pthread.h>

#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

#include "channel/connection_core.hpp"
#include "memory/references.hpp"
#include "process/descriptor_keeper.hpp"
#include "procession/errors.hpp"

namespace procession::detail {
namespace {

enum class EntryState { Open, Closed, Lost };

struct Entry {
  std::size_t handles = 0;
  EntryState state = EntryState::Open;
  OpenDescriptor descriptor;
};

struct OpenConnections {
  std::mutex mutex;
  std::unordered_map<Object*, Entry> entries;
};

OpenConnections& open_connections() {
  alignas(OpenConnections) static std::byte storage[sizeof(OpenConnections)];
  static OpenConnections& the = []() -> OpenConnections& {
    auto* made = new (storage) OpenConnections;
    pthread_atfork([] { open_connections().mutex.lock(); },
                   [] { open_connections().mutex.unlock(); },
                   [] { open_connections().mutex.unlock(); });
    return *made;
  }();
  return the;
}

bool count_known(OpenConnections& the, Object* connection) {
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(connection);
  if (at == the.entries.end()) return false;
  ++at->second.handles;
  return true;
}

// A Connection that is sent: its descriptor goes with it.
const bool carry_hook_set = [] {
  set_carry_hook(ObjectKind::Connection, [](void* block, Object* object) {
    const OpenDescriptor descriptor = open_descriptor(object);
    entrust_descriptor(block, connection_of(object).number, descriptor->get());
  });
  return true;
}();

}  // namespace

void enter_connection(Object* connection, Descriptor descriptor) {
  auto shared = std::make_shared<const Descriptor>(std::move(descriptor));
  OpenConnections& the = open_connections();
  std::lock_guard guard(the.mutex);
  the.entries.insert_or_assign(connection, Entry{1, EntryState::Open, std::move(shared)});
}

void count_connection_handle(Object* connection) {
  OpenConnections& the = open_connections();
  if (count_known(the, connection)) return;
  Descriptor descriptor = fetch_descriptor(connection_of(connection).number);
  Entry entry{1, descriptor ? EntryState::Open : EntryState::Lost, nullptr};
  if (descriptor) entry.descriptor = std::make_shared<const Descriptor>(std::move(descriptor));
  std::lock_guard guard(the.mutex);
  const auto [at, is_new] = the.entries.try_emplace(connection, std::move(entry));
  if (!is_new) ++at->second.handles;  // another thread was first
}

void drop_connection_handle(Object* connection) noexcept {
  OpenConnections& the = open_connections();
  OpenDescriptor last;  // closed after the mutex is free
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(connection);
  if (at == the.entries.end() || --at->second.handles != 0) return;
  last = std::move(at->second.descriptor);
  the.entries.erase(at);
}

OpenDescriptor open_descriptor(Object* connection) {
  OpenConnections& the = open_connections();
  std::lock_guard guard(the.mutex);
  const Entry& entry = the.entries.at(connection);
  if (entry.state == EntryState::Open) return entry.descriptor;
  if (entry.state == EntryState::Closed) {
    throw StateError(
        "this Connection is closed: close() was called in this process, on it or on a copy of it; "
        "call close() after the last use");
  }
  throw ConnectionClosed(
      "the descriptor of this Connection was lost on its way to this process: the process that "
      "kept it meanwhile was killed; send the Connection again");
}

void close_connection(Object* connection) noexcept {
  OpenConnections& the = open_connections();
  OpenDescriptor last;
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(connection);
  if (at == the.entries.end()) return;
  last = std::move(at->second.descriptor);
  at->second.descriptor = nullptr;
  at->second.state = EntryState::Closed;
}

bool connection_is_closed(Object* connection) noexcept {
  OpenConnections& the = open_connections();
  std::lock_guard guard(the.mutex);
  const auto at = the.entries.find(connection);
  return at != the.entries.end() && at->second.state == EntryState::Closed;
}

}  // namespace procession::detail
