// How the processes of a test wait for each other. By file name only, so that it works the same
// for every start method, and beyond the life of the process that started them.
//
// Example:
//   Mailbox mailbox;
//   Gate gate;
//   Process process([](std::string mailbox, std::string gate) {
//     post(mailbox, "here");
//     pass(gate);
//   }, mailbox.path(), gate.path());
//   process.start();
//   EXPECT_EQ(mailbox.receive(), "here");           // it runs
//   gate.open();                                    // now it can end
#pragma once

#include <string>

namespace procession::process_test {

// Where lines from other processes arrive. The file is removed with it.
class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  const std::string& path() const { return path_; }
  // The next line. Throws when none has come in 20 seconds.
  std::string receive();
  int receive_number() { return std::stoi(receive()); }

 private:
  std::string path_;
  int pipe_;
  std::string received_;
};

// Sends one line, in any process.
void post(const std::string& mailbox, const std::string& line);

// Closed until opened, or until its process ends.
class Gate {
 public:
  Gate();
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  const std::string& path() const { return path_; }
  void open();  // for everybody, now and later

 private:
  std::string path_;
  int file_;
};

// Waits, asleep, until the gate is open. In any process but the gate's own.
void pass(const std::string& gate);

// Uses the processor until it is killed.
[[noreturn]] void spin();

// In the folder for temporary files, and nobody else's.
std::string unique_path(const std::string& what);

// The whole of it; empty when there is none.
std::string read_whole(const std::string& path);

}  // namespace procession::process_test
