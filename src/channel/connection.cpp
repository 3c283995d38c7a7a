#include "procession/connection.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "channel/connection_core.hpp"
#include "channel/open_connections.hpp"
#include "memory/family.hpp"
#include "system/errors.hpp"

namespace procession {

namespace {

// What a Linux stream socket between processes of one machine takes as one buffer.
constexpr std::uint64_t whole_local_bytes = 16000;

bool has(const detail::Direction& way) noexcept {
  return way.open != 0 && way.broken.load(std::memory_order_acquire) == 0;
}

// A reference for a scope.
class Held {
 public:
  explicit Held(detail::Object* object) noexcept : object_(object) {}
  ~Held() {
    if (object_ != nullptr) detail::release(object_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  [[nodiscard]] detail::Object* get() const noexcept { return object_; }

 private:
  detail::Object* object_;
};

}  // namespace

Connection ConnectionAccess::make(detail::EndPlan plan) {
  using detail::ConnectionShared;
  detail::Object* object =
      detail::create_object(detail::ObjectKind::Connection, sizeof(ConnectionShared), "Connection");
  try {
    ConnectionShared& shared = detail::connection_of(object);
    shared.number = detail::family().numbers.fetch_add(1, std::memory_order_relaxed) + 1;
    shared.whole_bytes = plan.local ? whole_local_bytes : 0;
    shared.limit.store(Connection::default_limit, std::memory_order_relaxed);
    shared.in.mutex.initialise();
    shared.out.mutex.initialise();
    shared.in.open = plan.reads ? 1 : 0;
    shared.out.open = plan.writes ? 1 : 0;
    shared.inbox = plan.inbox;
    shared.outbox = plan.outbox;
    if (plan.inbox != nullptr) detail::carry_reference(object, plan.inbox);
    if (plan.outbox != nullptr) detail::carry_reference(object, plan.outbox);
    detail::enter_connection(object, std::move(plan.socket));
  } catch (...) {
    detail::release(object);
    throw;
  }
  return Connection(object);
}

int Connection::fileno() const { return detail::open_descriptor(object())->get(); }

void Connection::close() const { detail::close_connection(object()); }

bool Connection::closed() const { return detail::connection_is_closed(object()); }

bool Connection::readable() const { return !closed() && has(detail::connection_of(object()).in); }

bool Connection::writable() const { return !closed() && has(detail::connection_of(object()).out); }

void Connection::set_limit(std::size_t bytes) const {
  detail::connection_of(object()).limit.store(bytes, std::memory_order_relaxed);
}

std::size_t Connection::limit() const {
  return detail::connection_of(object()).limit.load(std::memory_order_relaxed);
}

Connection Connection::from_object(detail::Object* object) {
  if (object != nullptr) {
    detail::retain(object);
    try {
      detail::count_connection_handle(object);
    } catch (...) {
      detail::release(object);
      throw;
    }
  }
  return Connection(object);
}

std::pair<Connection, Connection> Pipe(bool duplex) {
  std::array<int, 2> pair{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    detail::throw_system_error(errno, "make a pair of connected sockets");
  }
  detail::EndPlan first{detail::Descriptor(detail::above_standard(pair[0]))};
  detail::EndPlan second{detail::Descriptor(detail::above_standard(pair[1]))};
  // Messages to the first, and to the second.
  const Held to_first(detail::create_queue(0, false, "Pipe"));
  const Held to_second(duplex ? detail::create_queue(0, false, "Pipe") : nullptr);
  first.inbox = second.outbox = to_first.get();
  first.outbox = second.inbox = to_second.get();
  if (!duplex) {
    first.writes = second.reads = false;
    shutdown(first.socket.get(), SHUT_WR);
  }
  auto one = ConnectionAccess::make(std::move(first));
  return {std::move(one), ConnectionAccess::make(std::move(second))};
}

}  // namespace procession
