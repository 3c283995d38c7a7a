#include "process/together.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace procession::process_test {
namespace {

constexpr int patience = 20'000;  // milliseconds

int check(int result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

// A record lock belongs to one process and is not inherited: neither a forked child nor a
// descriptor that it holds can keep the gate closed.
bool lock(int file, short type, int command) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  int result;
  do {
    result = ::fcntl(file, command, &whole);
  } while (result < 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

Mailbox::Mailbox() : path_(unique_path("mailbox")) {
  check(::mkfifo(path_.c_str(), 0666), "mkfifo");
  // Also open for writing, or reading would end with each sender.
  pipe_ = check(::open(path_.c_str(), O_RDWR | O_CLOEXEC), "open");
}

Mailbox::~Mailbox() {
  ::unlink(path_.c_str());
  ::close(pipe_);
}

std::string Mailbox::receive() {
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    pollfd entry{pipe_, POLLIN, 0};
    const int ready = ::poll(&entry, 1, patience);
    if (ready < 0 && errno == EINTR) continue;
    if (check(ready, "poll") == 0) throw std::runtime_error("nobody has posted anything");
    char part[512];
    const auto got = ::read(pipe_, part, sizeof part);
    if (got > 0) received_.append(part, static_cast<std::size_t>(got));
  }
}

void post(const std::string& mailbox, const std::string& line) {
  const int pipe = ::open(mailbox.c_str(), O_WRONLY | O_CLOEXEC);
  if (pipe < 0) return;  // nobody reads any more
  const std::string text = line + '\n';
  (void)!::write(pipe, text.data(), text.size());  // whole: shorter than PIPE_BUF
  ::close(pipe);
}

Gate::Gate() : path_(unique_path("gate")) {
  file_ = check(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666), "open");
  if (!lock(file_, F_WRLCK, F_SETLK)) throw std::runtime_error("cannot close a gate");
}

Gate::~Gate() {
  open();
  ::close(file_);
}

void Gate::open() {
  ::unlink(path_.c_str());  // who comes later does not find it, and passes
  lock(file_, F_UNLCK, F_SETLK);
}

void pass(const std::string& gate) {
  const int file = ::open(gate.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  lock(file, F_RDLCK, F_SETLKW);
  ::close(file);
}

void spin() {
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

std::string unique_path(const std::string& what) {
  static std::atomic<unsigned> count{0};
  return std::filesystem::temp_directory_path() / ("procession-test-" + std::to_string(::getpid()) +
                                                   "-" + std::to_string(count++) + "-" + what);
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace procession::process_test
