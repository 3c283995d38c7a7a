#include "procession/listener.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "channel/connection_core.hpp"
#include "channel/handshake_link.hpp"
#include "channel/socket_address.hpp"
#include "channel/socket_file.hpp"
#include "memory/family.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"

namespace procession {

namespace {

constexpr std::chrono::seconds handshake_limit{10};
// Beyond so many clients that have not proved anything others wait in the backlog.
constexpr std::size_t most_unproved = 64;

Connection made_of(detail::Descriptor socket, bool local) {
  detail::EndPlan plan;
  plan.socket = std::move(socket);
  plan.local = local;
  return ConnectionAccess::make(std::move(plan));
}

}  // namespace

namespace detail {

class ListenerCore {
 public:
  ListenerCore(const std::string& address, std::optional<std::string> key, int backlog);
  ~ListenerCore() { close(); }
  ListenerCore(const ListenerCore&) = delete;
  ListenerCore& operator=(const ListenerCore&) = delete;

  Connection accept();
  void close() noexcept;
  [[nodiscard]] const std::string& address() const noexcept { return shown_; }
  void set_limit(std::chrono::nanoseconds limit) noexcept { limit_.store(limit.count()); }

 private:
  void know_fork() noexcept;
  void require_open() const;
  void wait();
  void greet_new();
  std::optional<Connection> step_all();

  SocketAddress address_;
  std::optional<std::string> key_;
  std::string shown_;
  std::unique_ptr<SocketFile> file_;
  Descriptor socket_;
  Descriptor wake_;  // eventfd: close() was called
  std::atomic<std::int64_t> limit_{std::chrono::nanoseconds(handshake_limit).count()};
  std::atomic<bool> closed_{false};
  std::atomic<unsigned> epoch_;
  std::mutex turn_;  // who accepts
  std::list<HandshakeLink> unproved_;
};

ListenerCore::ListenerCore(const std::string& address, std::optional<std::string> key, int backlog)
    : address_(parse_address(address)), key_(std::move(key)), shown_(address) {
  if (key_) require_key(*key_);
  ensure_family();
  epoch_ = fork_epoch();
  wake_.reset(above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!wake_) throw_system_error(errno, "make an eventfd");
  if (address_.local) {
    file_ = std::make_unique<SocketFile>(address_.path, backlog);
    socket_ = file_->take_socket();
  } else {
    socket_ = listen_on_tcp(address_, backlog, shown_);
  }
}

// In the child of a fork no thread has the turn, whoever had it in the parent. And who is woken
// there is nobody of the parent: an eventfd that both had would never be quiet again in one of
// them.
void ListenerCore::know_fork() noexcept {
  const unsigned now = fork_epoch();
  if (epoch_.exchange(now) == now) return;
  new (&turn_) std::mutex;
  wake_.reset(above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

void ListenerCore::require_open() const {
  if (!closed_.load(std::memory_order_acquire)) return;
  throw StateError("the listener at " + shown_ +
                   " is closed; make a new one to accept further clients");
}

void ListenerCore::close() noexcept {
  if (closed_.exchange(true)) return;
  know_fork();
  if (file_) file_->remove();
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  std::lock_guard guard(turn_);  // who accepts leaves at once
  socket_.reset();
  unproved_.clear();
}

void ListenerCore::wait() {
  std::vector<pollfd> wanted{{wake_.get(), POLLIN, 0}};
  if (unproved_.size() < most_unproved) wanted.push_back({socket_.get(), POLLIN, 0});
  TimePoint next = TimePoint::max();
  for (const HandshakeLink& each : unproved_) {
    wanted.push_back({each.descriptor(), POLLIN, 0});
    next = std::min(next, each.deadline());
  }
  wait_for_descriptors(wanted, next);
}

void ListenerCore::greet_new() {
  const std::chrono::nanoseconds limit(limit_.load());
  while (unproved_.size() < most_unproved) {
    const int client = accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) {
      Descriptor end(above_standard(client));
      if (!address_.local) send_at_once(end.get());
      unproved_.emplace_back(std::move(end), key_, Handshake::Role::Listener,
                             deadline_after(limit));
      if (!key_) return;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      throw_system_error(errno, "accept a client at " + shown_);
    }  // else this client is gone already, or a signal came
  }
}

std::optional<Connection> ListenerCore::step_all() {
  const TimePoint now = TimePoint::clock::now();
  for (auto at = unproved_.begin(); at != unproved_.end();) {
    HandshakeLink::Progress progress{};
    try {
      progress = at->step();
    } catch (...) {
      unproved_.erase(at);
      throw;
    }
    if (progress == HandshakeLink::Progress::Done) {
      Descriptor socket = at->take_socket();
      unproved_.erase(at);
      return made_of(std::move(socket), address_.local);
    }
    const bool drop = progress == HandshakeLink::Progress::Gone || now >= at->deadline();
    at = drop ? unproved_.erase(at) : std::next(at);
  }
  return std::nullopt;
}

Connection ListenerCore::accept() {
  know_fork();
  std::lock_guard guard(turn_);
  for (;;) {
    require_open();
    greet_new();
    if (auto connection = step_all()) return *std::move(connection);
    wait();
  }
}

}  // namespace detail

Listener::Listener(const std::string& address, std::optional<std::string> authkey, int backlog)
    : core_(std::make_shared<detail::ListenerCore>(address, std::move(authkey), backlog)) {}

Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

detail::ListenerCore& Listener::core() const {
  if (core_ == nullptr) detail::throw_empty_handle("Listener");
  return *core_;
}

Connection Listener::accept() { return core().accept(); }

std::string Listener::address() const { return core().address(); }

void Listener::set_handshake_limit(std::chrono::nanoseconds limit) { core().set_limit(limit); }

void Listener::close() { core().close(); }

Connection Client(const std::string& address, const std::optional<std::string>& authkey) {
  if (authkey) detail::require_key(*authkey);
  const detail::SocketAddress there = detail::parse_address(address);
  detail::HandshakeLink link(detail::connect_to(there), authkey, detail::Handshake::Role::Client,
                             detail::deadline_after(handshake_limit));
  for (;;) {
    switch (link.step()) {
      case detail::HandshakeLink::Progress::Done:
        return made_of(link.take_socket(), there.local);
      case detail::HandshakeLink::Progress::Gone:
        throw ConnectionClosed("the listener at " + address +
                               " ended the connection before it had proved that it knows the key");
      case detail::HandshakeLink::Progress::More:
        break;
    }
    if (!detail::wait_for_descriptor(link.descriptor(), POLLIN, link.deadline())) {
      throw AuthenticationError("the listener at " + address +
                                " has not proved within 10 s that it knows the key; it may have "
                                "been given none: then connect without one");
    }
  }
}

}  // namespace procession
