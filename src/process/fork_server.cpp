// The owner's side of the fork server.
#include "process/fork_server.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "memory/family.hpp"
#include "memory/sweep.hpp"
#include "process/child.hpp"
#include "process/launch.hpp"
#include "process/messages.hpp"
#include "procession/errors.hpp"
#include "system/cpu.hpp"
#include "system/errors.hpp"

namespace procession::detail {
namespace {

struct Server {
  std::mutex mutex;  // one request at a time
  Descriptor channel;
  pid_t pid = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  LoadedSet modules;
  std::vector<int> cpus;
};

constinit std::atomic<Server*> server_used{nullptr};

Server& server() {
  alignas(Server) static std::byte storage[sizeof(Server)];
  static Server& the = []() -> Server& {
    auto* made = new (storage) Server;
    server_used.store(made, std::memory_order_release);
    return *made;
  }();
  return the;
}

void drop(Server& the) {
  the.channel.reset();
  the.pid = 0;
  if (the.slot != 0) collect_slot(the.slot, the.generation);
  the.slot = 0;
}

// The server's first message: its pid and the modules that it can resolve.
bool read_greeting(Server& the) {
  std::vector<std::uint32_t> numbers(16 << 10);
  const auto bytes = std::as_writable_bytes(std::span(numbers));
  const Received got = receive_message(the.channel.get(), bytes);
  if (got.bytes < sizeof(std::uint32_t)) return false;
  numbers.resize(got.bytes / sizeof(std::uint32_t));
  the.pid = static_cast<pid_t>(numbers[0]);
  the.modules.clear();
  for (const std::uint32_t module : std::span(numbers).subspan(1)) {
    if (module >= the.modules.size()) the.modules.resize(module + 1);
    the.modules[module] = true;
  }
  return true;
}

void start(Server& the) {
  require_diversion();
  std::array<int, 2> pair{-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw_system_error(errno, "make the socket of the fork server");
  }
  for (int& end : pair) end = above_standard(end);
  the.channel.reset(pair[0]);
  the.cpus = get_affinity();
  const Descriptor far_end(pair[1]);
  try {
    the.slot = claim_slot("fork server", true);
    the.generation = generation_of(the.slot);
    Launch what{the.slot, the.generation};
    what.channel = far_end.get();
    what.life = life_pipe_end();
    launch_hidden(what);
  } catch (...) {
    drop(the);
    throw;
  }
}

// REQUIRES: the.mutex.
void ensure(Server& the) {
  if (the.channel) return;
  start(the);
  if (read_greeting(the)) return;
  drop(the);
  throw SystemError(ECHILD, "fork server",
                    "cannot start the fork server: it ended before it was ready; what it wrote to "
                    "stderr says why");
}

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

// What a new process shares with the caller besides memory.
struct SharedDescriptors {
  std::array<int, 4> numbers{};
  std::size_t count = 0;
  std::uint32_t mask = 0;
  Descriptor directory;

  explicit SharedDescriptors(int report) {
    add(STDOUT_FILENO, 1);
    add(STDERR_FILENO, 2);
    directory.reset(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (directory) add(directory.get(), 4);
    if (report >= 0) add(report, 8);
  }
  void add(int fd, std::uint32_t bit) {
    if (fcntl(fd, F_GETFD) < 0) return;
    numbers[count++] = fd;
    mask |= bit;
  }
};

// One request and its answer; nullopt: the server is gone.
std::optional<std::pair<ServerReply, Descriptor>> exchange(Server& the,
                                                           const ServerRequest& request,
                                                           std::span<const int> descriptors) {
  ServerReply reply{};
  if (send_message(the.channel.get(), bytes_of(request), descriptors)) {
    Received got = receive_message(the.channel.get(), std::as_writable_bytes(std::span(&reply, 1)));
    if (got.bytes == sizeof reply) {
      Descriptor pidfd;
      if (!got.descriptors.empty()) pidfd = std::move(got.descriptors.front());
      return std::pair{reply, std::move(pidfd)};
    }
  }
  drop(the);
  return std::nullopt;
}

}  // namespace

ServedProcess request_process(bool spawn, std::uint32_t slot, std::uint32_t generation, bool daemon,
                              int report) {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  const SharedDescriptors shared(report);
  const ServerRequest request{spawn ? ServerRequest::Kind::Spawn : ServerRequest::Kind::Fork, slot,
                              generation, daemon ? 1U : 0U, shared.mask};
  // A server that was killed is replaced, once: it may have been killed long ago.
  for (int attempt = 0; attempt < 2; ++attempt) {
    ensure(the);
    auto answer = exchange(the, request, std::span(shared.numbers).first(shared.count));
    if (!answer) continue;
    auto& [reply, pidfd] = *answer;
    if (reply.error == 0 && pidfd) return {reply.pid, std::move(pidfd)};
    if (reply.error == 0) {
      (void)exchange(the, {ServerRequest::Kind::Discard, slot, generation, 0, 0}, {});
    }
    const int error = reply.error != 0 ? reply.error : EMFILE;  // the pidfd did not get through
    throw SystemError(error, reply.error != 0 ? reply.phase : "receive pidfd",
                      std::string("the fork server could not start a process: ") +
                          (reply.error != 0 ? reply.phase : "receive pidfd") + ": " +
                          std::strerror(error) + " (" + error_name(error) + ")");
  }
  throw SystemError(ECHILD, "fork server",
                    "the fork server was killed twice while it was asked "
                    "to start a process; start it again");
}

bool request_reap(std::uint32_t slot, std::uint32_t generation) {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  if (!the.channel) return false;
  const ServerRequest request{ServerRequest::Kind::Reap, slot, generation, 0, 0};
  return exchange(the, request, {}).has_value();
}

LoadedSet served_modules() {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  ensure(the);
  return the.modules;
}

std::vector<int> server_affinity() {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  return the.cpus;
}

std::vector<pid_t> server_pids() {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  if (the.pid == 0) return {};
  return {the.pid};
}

std::vector<int> server_descriptors() {
  Server& the = server();
  std::lock_guard guard(the.mutex);
  if (!the.channel) return {};
  return {the.channel.get()};
}

[[gnu::hot]] void forget_inherited_server() noexcept {
  Server* the = server_used.load(std::memory_order_acquire);
  if (the == nullptr) return;
  the->channel.reset();
  new (the) Server;
}

}  // namespace procession::detail
