// The fork server's side.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "memory/family.hpp"
#include "memory/sweep.hpp"
#include "process/child.hpp"
#include "process/fork_server.hpp"
#include "process/launch.hpp"
#include "process/messages.hpp"
#include "system/daemon_pipe.hpp"
#include "system/errors.hpp"
#include "system/process.hpp"

namespace procession::detail {
namespace {

struct Watched {
  std::uint32_t slot;
  std::uint32_t generation;
  Descriptor pidfd;
};

void block_signals(int how) {
  sigset_t some;
  sigemptyset(&some);
  for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGTERM}) sigaddset(&some, number);
  sigprocmask(how, &some, nullptr);
}

class ForkServer {
 public:
  ForkServer(int channel, int life)
      : channel_(channel), life_(life), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    watch(channel_.get(), 0);
  }
  [[noreturn]] void run();

 private:
  void greet();
  bool answer();
  void make(const ServerRequest& request, std::vector<Descriptor>& descriptors);
  pid_t fork_one(const ServerRequest& request, std::vector<Descriptor>& given, Descriptor& pidfd);
  pid_t spawn_one(const ServerRequest& request, std::vector<Descriptor>& given, Descriptor& pidfd);
  [[noreturn]] void become_child(const ServerRequest& request, std::vector<Descriptor>& given);
  void reap_one(std::uint32_t slot);
  void watch(int fd, std::uint32_t slot);
  void reply(int error, const char* phase, pid_t pid, int pidfd);

  Descriptor channel_;
  Descriptor life_;
  Descriptor epoll_;
  std::map<std::uint32_t, Watched> children_;  // by slot
};

void ForkServer::watch(int fd, std::uint32_t slot) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = slot;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw_system_error(errno, "watch a process");
  }
}

void ForkServer::reply(int error, const char* phase, pid_t pid, int pidfd) {
  ServerReply reply{};
  reply.error = error;
  reply.pid = pid;
  copy_text(reply.phase, sizeof reply.phase, phase);
  const auto bytes = std::as_bytes(std::span(&reply, 1));
  if (pidfd >= 0) {
    send_message(channel_.get(), bytes, std::span(&pidfd, 1));
  } else {
    send_message(channel_.get(), bytes, {});
  }
}

void ForkServer::greet() {
  std::vector<std::uint32_t> numbers{static_cast<std::uint32_t>(getpid())};
  const LoadedSet loaded = loaded_modules();
  for (std::uint32_t module = 0; module < loaded.size(); ++module) {
    if (loaded[module]) numbers.push_back(module);
  }
  send_message(channel_.get(), std::as_bytes(std::span(numbers)), {});
}

void ForkServer::become_child(const ServerRequest& request, std::vector<Descriptor>& given) {
  std::size_t next = 0;
  if ((request.descriptors & 1) != 0) dup2(given[next++].get(), STDOUT_FILENO);
  if ((request.descriptors & 2) != 0) dup2(given[next++].get(), STDERR_FILENO);
  if ((request.descriptors & 4) != 0 && fchdir(given[next++].get()) != 0) _exit(127);
  if ((request.descriptors & 8) != 0) set_report_descriptor(given[next++].release());
  given.clear();
  const bool orphan = request.daemon != 0 && !die_with(life_.get());
  if (orphan) _exit(127);
  channel_.reset();
  life_.reset();
  epoll_.reset();
  children_.clear();
  block_signals(SIG_UNBLOCK);
  run_received_task(false);
}

pid_t ForkServer::fork_one(const ServerRequest& request, std::vector<Descriptor>& given,
                           Descriptor& pidfd) {
  before_raw_fork(request.slot, request.generation);
  ForkResult forked{};
  try {
    forked = fork_server_child();
  } catch (...) {
    after_raw_fork_in_parent();
    throw;
  }
  if (forked.pid == 0) {
    if (!after_raw_fork_in_child()) _exit(127);
    become_child(request, given);
  }
  after_raw_fork_in_parent();
  pidfd = std::move(forked.pidfd);
  return forked.pid;
}

pid_t ForkServer::spawn_one(const ServerRequest& request, std::vector<Descriptor>& given,
                            Descriptor& pidfd) {
  Launch what{};
  what.slot = request.slot;
  what.generation = request.generation;
  what.channel = -1;
  what.life = request.daemon != 0 ? life_.get() : -1;
  std::size_t next = 0;
  what.output = (request.descriptors & 1) != 0 ? given[next++].get() : -1;
  what.error = (request.descriptors & 2) != 0 ? given[next++].get() : -1;
  what.directory = (request.descriptors & 4) != 0 ? given[next++].get() : -1;
  what.report = (request.descriptors & 8) != 0 ? given[next++].get() : -1;
  const StartOrder order = [&] {
    auto* block = static_cast<std::byte*>(slot_at(request.slot).task.load());
    Reader reader(block, reinterpret_cast<TaskHeader*>(block)->bytes, sizeof(TaskHeader));
    return StartOrder::read(reader);
  }();
  what.environment = &order.environment;
  const pid_t pid = launch(what);
  pidfd = open_pidfd(pid);  // not reaped yet: nobody else is its parent
  return pid;
}

void ForkServer::make(const ServerRequest& request, std::vector<Descriptor>& given) {
  try {
    Descriptor pidfd;
    const pid_t pid = request.kind == ServerRequest::Kind::Fork ? fork_one(request, given, pidfd)
                                                                : spawn_one(request, given, pidfd);
    const int number = pidfd.get();
    watch(number, request.slot);
    children_.insert_or_assign(request.slot,
                               Watched{request.slot, request.generation, std::move(pidfd)});
    reply(0, "", pid, number);
  } catch (const SystemError& error) {
    reply(error.code(), error.phase().c_str(), 0, -1);
  } catch (const std::exception&) {
    reply(ENOMEM, "fork", 0, -1);
  }
}

// Writes down what became of a child and returns what it held to the family.
void ForkServer::reap_one(std::uint32_t slot) {
  const auto at = children_.find(slot);
  if (at == children_.end()) return;
  ExitRecord record;
  const ReapOutcome outcome = reap(at->second.pidfd.get(), false, record);
  if (outcome == ReapOutcome::Running) return;
  ProcessSlot& place = slot_at(slot);
  if (generation_of(slot) == at->second.generation) {
    place.wait_status = record.status;
    place.user_ns = static_cast<std::uint64_t>(record.user_time.count());
    place.system_ns = static_cast<std::uint64_t>(record.system_time.count());
    place.peak_bytes = record.peak_memory;
    place.ended.store(1, std::memory_order_release);
    sweep_process(slot, at->second.generation);
  }
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, at->second.pidfd.get(), nullptr);
  children_.erase(at);
}

// False: the owner is gone.
bool ForkServer::answer() {
  ServerRequest request{};
  Received got = receive_message(channel_.get(), std::as_writable_bytes(std::span(&request, 1)));
  if (got.bytes != sizeof request) return false;
  if (request.kind == ServerRequest::Kind::Discard) {
    if (const auto at = children_.find(request.slot); at != children_.end()) {
      send_signal(at->second.pidfd.get(), SIGKILL);
      wait_pidfd(at->second.pidfd.get(), std::nullopt);
      reap_one(request.slot);
    }
    reply(0, "", 0, -1);
  } else if (request.kind == ServerRequest::Kind::Reap) {
    reap_one(request.slot);
    reply(0, "", 0, -1);
  } else {
    make(request, got.descriptors);
  }
  return true;
}

void ForkServer::run() {
  greet();
  std::array<epoll_event, 32> events{};
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const std::uint32_t slot = events[static_cast<std::size_t>(i)].data.u32;
      if (slot != 0) {
        reap_one(slot);
      } else if (!answer()) {
        std::_Exit(0);
      }
    }
  }
}

}  // namespace

void serve(int channel, int life) {
  // Ctrl-C and hang-ups are for the program; the server ends with its owner. Blocked and not
  // ignored: what is sent to a child before it is ready waits for it, and then takes effect.
  block_signals(SIG_BLOCK);
  // A host without standard streams must not make descriptors of ours stand in for them.
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) std::_Exit(127);
  }
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  fcntl(life, F_SETFD, FD_CLOEXEC);
  if (!die_with(life)) std::_Exit(0);
  ForkServer server(channel, life);
  server.run();
}

}  // namespace procession::detail
