// The side of those who send and receive descriptors.
#include "process/descriptor_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <span>

#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/sweep.hpp"
#include "process/child.hpp"
#include "process/keeper_message.hpp"
#include "process/launch.hpp"
#include "process/messages.hpp"
#include "procession/detail/memory.hpp"
#include "procession/errors.hpp"
#include "system/errors.hpp"
#include "system/process.hpp"

namespace procession::detail {
namespace {

struct Ticket {
  Object head;
  std::atomic<void*> deposit;  // a home
};

struct KeeperPlace {
  std::uint32_t slot, generation;
  static KeeperPlace now() noexcept {
    const std::uint64_t word = family().keeper.place.load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
  }
  [[nodiscard]] SlotState state() const noexcept {
    if (slot == 0) return SlotState::Free;
    const auto word = SlotWord::from(slot_at(slot).state.load(std::memory_order_acquire));
    return word.generation == generation ? word.state : SlotState::Free;
  }
  [[nodiscard]] bool lives() const noexcept {
    return state() == SlotState::Alive && !slot_is_dead(slot_at(slot));
  }
};

void set_place(std::uint32_t slot, std::uint32_t generation) noexcept {
  family().keeper.place.store(std::uint64_t{generation} << 32 | slot, std::memory_order_release);
}

std::span<const std::byte> bytes_of(const KeeperMessage& message) {
  return std::as_bytes(std::span(&message, 1));
}

void tell_end(void* block) noexcept {
  auto* deposit = static_cast<Deposit*>(block);
  deposit->ended.store(1, std::memory_order_release);
  const KeeperMessage message{KeeperMessage::Kind::End, 0, 0, deposit->ticket, nullptr};
  const int asking = keeper_sockets().asking;
  try {
    if (try_send_message(asking, bytes_of(message), {}) == SendOutcome::Sent) return;
  } catch (const std::exception&) {
  }
  // Invariant 2. If there is room by now, the socket may be empty: then this is what is in it.
  family().keeper.look_again.store(1, std::memory_order_seq_cst);
  try {
    (void)try_send_message(asking, bytes_of(message), {});
  } catch (const std::exception&) {
  }
}

const bool finalizer_set = [] {
  set_block_finalizer(BlockKind::Deposit, tell_end);
  return true;
}();

// REQUIRES: KeeperWords::mutex, and the process at that place is no keeper that runs.
void clear_place(KeeperPlace place) noexcept {
  if (place.slot == 0) return;
  if (place.state() != SlotState::Starting) collect_slot(place.slot, place.generation);
  set_place(0, 0);
}

// REQUIRES: KeeperWords::mutex.
void start_keeper() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_system_error(errno, "make a pipe");
  const Descriptor ready(above_standard(ends[0]));
  Descriptor report(above_standard(ends[1]));
  Launch what{};
  what.slot = claim_slot("descriptor keeper", true);
  what.generation = generation_of(what.slot);
  what.report = report.get();
  what.keeper = true;
  set_place(what.slot, what.generation);
  char word = 0;
  ssize_t got = 0;
  try {
    launch_hidden(what);
    report.reset();
    do {
      got = read(ready.get(), &word, 1);
    } while (got < 0 && errno == EINTR);
  } catch (...) {
    collect_slot(what.slot, what.generation);
    set_place(0, 0);
    throw;
  }
  if (got == 1) return;
  collect_slot(what.slot, what.generation);
  set_place(0, 0);
  throw SystemError(ECHILD, "descriptor keeper",
                    "cannot start the process that keeps descriptors on their way: it ended before "
                    "it was ready; the limits of this process may be too low for another one");
}

KeeperPlace ensure_keeper() {
  if (const auto place = KeeperPlace::now(); place.lives()) return place;
  require_diversion();
  RobustGuard guard(family().keeper.mutex);
  // Who died while it started one had claimed a slot: it is taken back, or the keeper has joined.
  if (KeeperPlace::now().state() == SlotState::Starting) sweep_dead_processes();
  if (const auto place = KeeperPlace::now(); place.lives()) return place;
  clear_place(KeeperPlace::now());
  start_keeper();
  return KeeperPlace::now();
}

// Readable when the keeper has ended; none: it has.
Descriptor watch_keeper(const KeeperPlace& place) {
  Descriptor pidfd;
  try {
    pidfd = open_pidfd(slot_at(place.slot).pid.load(std::memory_order_acquire));
  } catch (const SystemError& error) {
    if (error.code() != ESRCH) throw;
  }
  return place.lives() ? std::move(pidfd) : Descriptor();  // the pid was its, then
}

// Blocks until `descriptor` is ready; false: the keeper ended before.
bool wait_beside_keeper(int descriptor, short events, const Descriptor& pidfd) {
  std::array<pollfd, 2> wanted{{{descriptor, events, 0}, {pidfd.get(), POLLIN, 0}}};
  while (poll(wanted.data(), wanted.size(), -1) < 0) {
    if (errno != EINTR) throw_system_error(errno, "wait for the process that keeps descriptors");
  }
  return wanted[0].revents != 0;
}

void tell_keeper(const KeeperMessage& message, int descriptor) {
  for (;;) {
    const KeeperPlace place = ensure_keeper();
    const int asking = keeper_sockets().asking;
    if (try_send_message(asking, bytes_of(message), std::span(&descriptor, 1)) ==
        SendOutcome::Sent) {
      return;
    }
    if (const Descriptor pidfd = watch_keeper(place)) wait_beside_keeper(asking, POLLOUT, pidfd);
  }
}

// A reference for a scope.
struct HeldTicket {
  Ticket* ticket =
      reinterpret_cast<Ticket*>(create_object(ObjectKind::Ticket, sizeof(Ticket), "descriptor", 1));
  HeldTicket() = default;
  ~HeldTicket() { release(&ticket->head); }
  HeldTicket(const HeldTicket&) = delete;
  HeldTicket& operator=(const HeldTicket&) = delete;
};

}  // namespace

void entrust_descriptor(void* block, std::uint64_t number, int descriptor) {
  const HeldTicket held;
  const std::uint64_t ticket = family().keeper.tickets.fetch_add(1, std::memory_order_relaxed) + 1;
  auto* deposit = new (allocate(sizeof(Deposit))) Deposit{ticket, 0};
  set_block_kind(deposit, BlockKind::Deposit);
  hand_over(deposit, held.ticket->deposit);
  tell_keeper({KeeperMessage::Kind::Keep, 0, number, ticket, deposit}, descriptor);
  carry_reference(block, &held.ticket->head);
}

Descriptor fetch_descriptor(std::uint64_t number) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const KeeperPlace place = ensure_keeper();
    const Descriptor pidfd = watch_keeper(place);
    if (!pidfd) continue;
    std::array<int, 2> pair{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
      throw_system_error(errno, "make a socket to get a descriptor");
    }
    const Descriptor mine(pair[0]);
    {
      const Descriptor theirs(pair[1]);
      tell_keeper({KeeperMessage::Kind::Fetch, 0, number, 0, nullptr}, theirs.get());
    }
    if (!wait_beside_keeper(mine.get(), POLLIN, pidfd)) continue;
    std::array<std::byte, 1> answer{};
    Received got = receive_message(mine.get(), answer);
    if (got.bytes == 0) continue;
    if (got.descriptors.empty()) return {};
    return Descriptor(above_standard(got.descriptors.front().release()));
  }
  return {};
}

void require_keeper() { (void)ensure_keeper(); }

pid_t keeper_pid() noexcept {
  if (!have_family()) return 0;
  const KeeperPlace place = KeeperPlace::now();
  return place.lives() ? slot_at(place.slot).pid.load(std::memory_order_acquire) : 0;
}

}  // namespace procession::detail
