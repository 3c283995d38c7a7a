// Other families than the test's own, and what is in /dev/shm.
//
//   ShmWatch shm;
//   Family family;                                   // a helper program, in a process group
//   EXPECT_EQ(family("create " + name + " 100"), "ok");
//   family.kill();                                   // all of it at once, but its keeper
//   EXPECT_TRUE(shm.gone(name));                     // waits, asleep
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/fixture.hpp"

namespace procession::shared_test {

bool is_there(const std::string& name);
// A file of that name that the library knows nothing of.
void make_stranger(const std::string& name, const std::string& text);
std::string read_stranger(const std::string& name);
void remove_name(const std::string& name);

// Names of one test, which begin alike.
class NameSpace {
 public:
  explicit NameSpace(const std::string& what) : prefix_(test_support::unique_name(what)) {}
  std::string operator[](int i) const { return prefix_ + "-" + std::to_string(i); }
  std::string operator()(const std::string& what = "block") const { return prefix_ + "-" + what; }
  std::size_t count() const;

 private:
  std::string prefix_;
};

// Made before what is waited for can happen.
class ShmWatch {
 public:
  ShmWatch();
  ~ShmWatch();
  ShmWatch(const ShmWatch&) = delete;
  ShmWatch& operator=(const ShmWatch&) = delete;
  bool gone(const std::string& name) const;  // in time

 private:
  int inotify_;
};

// Whether the process ends in time.
class Ending {
 public:
  explicit Ending(pid_t pid);
  ~Ending();
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  bool ends() const;

 private:
  int pidfd_;
};

// shared_helper, running, or another program that obeys the same lines. What is left of it is
// killed by the destructor.
class Family {
 public:
  explicit Family(const std::vector<std::string>& command = {SHARED_HELPER});
  ~Family();
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  std::string operator()(const std::string& line);  // the answer
  std::string answer();                             // the next line
  pid_t number(const std::string& line);            // the number in the answer
  test_support::ChildStatus end();                  // of the root, in order
  void kill();                                      // SIGKILL to all but the keeper at once
  void kill_keeper();                               // and it has ended
  pid_t root() const { return child_.pid(); }
  test_support::ChildStatus wait() { return child_.wait(); }

 private:
  test_support::Pipe in_, out_;
  pid_t group_;
  test_support::Child child_;
};

}  // namespace procession::shared_test
