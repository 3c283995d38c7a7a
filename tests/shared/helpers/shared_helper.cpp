// The root of a family of its own. It obeys lines of its standard input and answers each by one
// line; at the end of the input, or after "end", it returns from main().
//
//   create NAME SIZE | attach NAME | unlink NAME     "ok", or "error" and what() of it
//   drop NAME | fill NAME                            no handle any more; writes all of it
//   read NAME | write NAME TEXT                      the text at the beginning of the block
//   keeper                                           its pid
//   child METHOD NAME                                starts a child that makes a block, says
//                                                    "ok PID", and pauses; "grandchild": a child of
//                                                    one. They are not joined.
//   churn NAME                                       makes and removes blocks for ever, a line each
//   small_shm                                        from now on /dev/shm is its own, of 1 MiB; or
//                                                    "error", where that is not permitted
//   heir METHOD NAME FIFO                            a child that makes a block, and ends in order
//                                                    when nobody has the FIFO open for writing
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "process/descriptor_keeper.hpp"
#include "procession/procession.hpp"

namespace procession {
namespace {

std::map<std::string, SharedMemory>& blocks() {
  static std::map<std::string, SharedMemory> all;
  return all;
}

ProcessOptions by(const std::string& method) {
  ProcessOptions options;
  options.start_method = method == "Fork"    ? StartMethod::Fork
                         : method == "Spawn" ? StartMethod::Spawn
                                             : StartMethod::ForkServer;
  return options;
}

void make_and_pause(const std::string& name, const Queue<pid_t>& made) {
  const auto block = SharedMemory::create(100, name);
  made.put(::getpid());
  for (;;) ::pause();
}

void make_below(const std::string& method, const std::string& name, const Queue<pid_t>& made) {
  Process below(by(method), make_and_pause, name, made);
  below.start();
  below.join();
}

void make_and_wait(const std::string& name, const std::string& fifo, const Queue<pid_t>& made) {
  const auto block = SharedMemory::create(100, name);
  const int pipe = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  made.put(::getpid());
  char nothing = 0;
  (void)!::read(pipe, &nothing, 1);
  ::close(pipe);
}

// Never joined: the process is killed, or ends while they run on.
std::vector<std::unique_ptr<Process>>& children() {
  static auto& all = *new std::vector<std::unique_ptr<Process>>;
  return all;
}

template <class... Arguments>
std::string start(const std::string& method, Arguments... arguments) {
  const Queue<pid_t> made;
  auto& child =
      children().emplace_back(std::make_unique<Process>(by(method), std::move(arguments)..., made));
  child->start();
  return "ok " + std::to_string(made.get());
}

std::string obey(const std::string& what, std::istream& words) {
  std::string name, more, third;
  words >> name >> more >> third;
  if (what == "create") {
    blocks()[name] = SharedMemory::create(std::stoul(more), name);
  } else if (what == "attach") {
    blocks()[name] = SharedMemory::attach(name);
  } else if (what == "unlink") {
    blocks().at(name).unlink();
  } else if (what == "drop") {
    blocks().erase(name);
  } else if (what == "fill") {
    std::ranges::fill(blocks().at(name).buffer(), std::byte{7});
  } else if (what == "write") {
    std::memcpy(blocks().at(name).buffer().data(), more.c_str(), more.size() + 1);
  } else if (what == "read") {
    return reinterpret_cast<const char*>(blocks().at(name).buffer().data());
  } else if (what == "keeper") {
    return std::to_string(detail::keeper_pid());
  } else if (what == "churn") {
    for (int i = 0;; ++i) {
      const auto block = SharedMemory::create(100, name + std::to_string(i));
      std::cout << "ok" << std::endl;
      if (i % 2 == 0) block.unlink();
    }
  } else if (what == "small_shm") {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/dev/shm", "tmpfs", 0, "size=1m") != 0) {
      return "error";
    }
  } else if (what == "child") {
    return start(name, make_and_pause, more);
  } else if (what == "grandchild") {
    return start(name, make_below, name, more);
  } else if (what == "heir") {
    return start(name, make_and_wait, more, third);
  } else {
    return "what?";
  }
  return "ok";
}

}  // namespace
}  // namespace procession

int main() {
  for (std::string line; std::getline(std::cin, line) && line != "end";) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    try {
      std::cout << procession::obey(what, words) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
}
