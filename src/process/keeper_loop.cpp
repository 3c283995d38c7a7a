// The keeper's side.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <unordered_map>
#include <utility>

#include "memory/family.hpp"
#include "process/descriptor_keeper.hpp"
#include "process/keeper_message.hpp"
#include "process/messages.hpp"
#include "process/shared_names.hpp"

namespace procession::detail {
namespace {

// It holds nothing of the program's: neither its terminal nor its folder, nor a pipe whose end
// somebody waits for.
void let_go(const KeeperSockets& sockets, int report) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2; ++fd) dup2(nothing, fd);
  (void)!chdir("/");
  (void)setsid();  // who kills the program's group, or closes its terminal, does not mean this one
  std::array<int, 3> kept{family_descriptor(), sockets.answering, report};
  std::sort(kept.begin(), kept.end());
  unsigned from = 3;
  for (const int each : kept) {
    const auto number = static_cast<unsigned>(each);
    if (number > from) (void)syscall(SYS_close_range, from, number - 1, 0);
    from = number + 1;
  }
  (void)syscall(SYS_close_range, from, ~0U, 0);
  close(sockets.asking);  // where the kernel (before 5.9) has no close_range; this one must be
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

class Keeper {
 public:
  void take(const KeeperMessage& message, Descriptor descriptor) {
    if (message.kind == KeeperMessage::Kind::Keep) return keep(message, std::move(descriptor));
    if (message.kind == KeeperMessage::Kind::End) return end(message.ticket);
    answer(message.number, descriptor);
  }
  // Drops the tickets that the family memory knows no more. What was there may be something else
  // by now; its memory stays mapped.
  void look_again() {
    std::erase_if(tickets_, [&](const auto& entry) {
      const auto& [ticket, known] = entry;
      if (!has_ended(ticket, known.deposit)) return false;
      drop(known.number);
      return true;
    });
  }

 private:
  struct Known {
    std::uint64_t number;
    const Deposit* deposit;
  };
  struct Kept {
    Descriptor descriptor;
    std::size_t tickets = 0;
  };

  static bool has_ended(std::uint64_t ticket, const Deposit* deposit) noexcept {
    return deposit->ticket != ticket || deposit->ended.load(std::memory_order_acquire) != 0;
  }
  void keep(const KeeperMessage& message, Descriptor descriptor) {
    if (!descriptor) return;  // no room for it here: who asks hears that it is not there
    // Its end may have found no room in the socket, behind this message: then nobody tells it
    // again.
    if (has_ended(message.ticket, message.deposit)) return;
    tickets_.emplace(message.ticket, Known{message.number, message.deposit});
    Kept& kept = kept_[message.number];
    if (!kept.descriptor) kept.descriptor = std::move(descriptor);
    ++kept.tickets;
  }
  void end(std::uint64_t ticket) {
    const auto at = tickets_.find(ticket);
    if (at == tickets_.end()) return;
    drop(at->second.number);
    tickets_.erase(at);
  }
  void drop(std::uint64_t number) {
    const auto at = kept_.find(number);
    if (--at->second.tickets == 0) kept_.erase(at);
  }
  void answer(std::uint64_t number, const Descriptor& socket) const {
    if (!socket) return;
    const std::byte word{1};
    const auto at = kept_.find(number);
    const int found = at == kept_.end() ? -1 : at->second.descriptor.get();
    const auto descriptors = std::span(&found, found < 0 ? 0 : 1);
    (void)try_send_message(socket.get(), std::span(&word, 1), descriptors);
  }

  std::unordered_map<std::uint64_t, Known> tickets_;
  std::unordered_map<std::uint64_t, Kept> kept_;  // by number
};

}  // namespace

void keep_descriptors(int report) {
  const KeeperSockets sockets = keeper_sockets();
  let_go(sockets, report);
  (void)!write(report, "r", 1);
  close(report);
  Keeper keeper;
  for (;;) {
    KeeperMessage message{};
    try {
      const auto room = std::as_writable_bytes(std::span(&message, 1));
      Received got = receive_message(sockets.answering, room);
      if (got.bytes == 0) {  // no other process is left
        remove_family_names();
        std::_Exit(0);
      }
      if (family().keeper.look_again.exchange(0, std::memory_order_acq_rel) != 0) {
        keeper.look_again();
      }
      Descriptor descriptor;
      if (!got.descriptors.empty()) descriptor = std::move(got.descriptors.front());
      keeper.take(message, std::move(descriptor));
    } catch (const std::exception&) {
      // One descriptor less; who asks for it hears so.
    }
  }
}

}  // namespace procession::detail
