#include "shared/shared_family.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace procession::shared_test {

using namespace std::chrono_literals;
using test_support::Deadline;

namespace {
std::string path_of(const std::string& name) { return "/dev/shm/" + name; }
}  // namespace

bool is_there(const std::string& name) { return ::access(path_of(name).c_str(), F_OK) == 0; }

void make_stranger(const std::string& name, const std::string& text) {
  std::ofstream(path_of(name)) << text;
}

std::string read_stranger(const std::string& name) {
  std::ifstream file(path_of(name));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void remove_name(const std::string& name) { ::unlink(path_of(name).c_str()); }

std::size_t NameSpace::count() const {
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    found += entry.path().filename().string().starts_with(prefix_ + "-") ? 1 : 0;
  }
  return found;
}

ShmWatch::ShmWatch() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  EXPECT_GE(::inotify_add_watch(inotify_, "/dev/shm", IN_DELETE | IN_MOVED_FROM), 0);
}

ShmWatch::~ShmWatch() { ::close(inotify_); }

bool ShmWatch::gone(const std::string& name) const {
  const Deadline deadline(20s);
  while (is_there(name)) {
    if (!test_support::wait_readable(inotify_, deadline)) return false;
    char events[4096];
    while (::read(inotify_, events, sizeof events) > 0) {
    }
  }
  return true;
}

Ending::Ending(pid_t pid) : pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
Ending::~Ending() {
  if (pidfd_ >= 0) ::close(pidfd_);
}
bool Ending::ends() const {
  return pidfd_ < 0 || test_support::wait_readable(pidfd_, Deadline(20s));
}

Family::Family(const std::vector<std::string>& command)
    : group_(0), child_(test_support::start_child([&] {
        ::setpgid(0, 0);
        ::dup2(in_.read_end(), STDIN_FILENO);
        ::dup2(out_.write_end(), STDOUT_FILENO);
        in_.close_write();
        out_.close_read();
        std::vector<char*> words;
        for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        ::execvp(words[0], words.data());
        ::_exit(127);
      })) {
  in_.close_read();
  out_.close_write();
  EXPECT_EQ((*this)("hello"), "what?");  // it is in its group now
  group_ = child_.pid();
}

Family::~Family() {
  if (group_ != 0) ::kill(-group_, SIGKILL);
}

std::string Family::operator()(const std::string& line) {
  for (const char letter : line + "\n") in_.send(letter);
  return answer();
}

std::string Family::answer() {
  std::string line;
  for (auto letter = out_.receive<char>(); letter && *letter != '\n';
       letter = out_.receive<char>()) {
    line += *letter;
  }
  return line;
}

pid_t Family::number(const std::string& line) {
  const std::string text = (*this)(line);
  const auto digits = text.find_first_of("0123456789");
  if (text.starts_with("error") || digits == std::string::npos) {
    ADD_FAILURE() << line << ": " << text;
    return 0;
  }
  return std::stoi(text.substr(digits));
}

test_support::ChildStatus Family::end() {
  in_.close_write();
  return child_.wait();
}

void Family::kill() { ::kill(-group_, SIGKILL); }

void Family::kill_keeper() {
  const pid_t keeper = number("keeper");
  ASSERT_GT(keeper, 0);
  const Ending ending(keeper);
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  EXPECT_TRUE(ending.ends());
}

}  // namespace procession::shared_test
