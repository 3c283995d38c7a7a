// "Die with your parent", by the kernel.
//
// The parent holds the write end of a pipe and never writes. The child asks for SIGKILL on input,
// and the end of the pipe is input: as the last write end closes, which it does however the
// parent dies, the kernel kills the child. PR_SET_PDEATHSIG would watch the *thread* that made
// the child; this watches the process. A stopped parent is alive, and so is its child.
//
// Invariant: only the parent itself holds the write end. It is close-on-exec, and closed in
// forked children: by a fork handler after fork(), by after_fork() after a raw clone.
//
// Example:
//   LifePipe pipe;                          // one for the process, however many children
//   const int life = pipe.read_end();       // before the fork
//   if (fork() == 0) { if (!die_with(life)) _exit(1); ... }
#pragma once

#include <mutex>
#include <vector>

#include "system/descriptor.hpp"

namespace procession::detail {

// Thread-safe. Closing it (its destruction) counts as the parent's death.
class LifePipe {
 public:
  LifePipe();
  ~LifePipe();
  LifePipe(const LifePipe&) = delete;
  LifePipe& operator=(const LifePipe&) = delete;

  // The end that children are given, by inheritance or over a socket; close-on-exec. Makes the
  // pipe on first use. Owned by the LifePipe. Throws SystemError.
  int read_end();

  // What it has open now.
  [[nodiscard]] std::vector<int> descriptors();

  // In a child made by a raw clone (or _Fork), at once: closes the inherited write end. The
  // inherited read end stays open under its number, for die_with, until the child calls its own
  // read_end(), which makes a new pipe. Async-signal-safe.
  void after_fork() noexcept;

 private:
  friend struct LifePipes;
  std::mutex mutex_;
  Descriptor read_end_;
  Descriptor write_end_;
  LifePipe* next_ = nullptr;  // guarded by the list's mutex, as every fork is
};

// In the child: from now on SIGKILL when the last write end of the pipe closes. False: it has
// closed already, the parent is gone. Keeps one descriptor open for the life of the process (or
// until it executes another program, which ends the arrangement); `read_end` itself is not needed
// any more. The protection is this process's, not that of its own children. Throws SystemError.
[[nodiscard]] bool die_with(int read_end);

}  // namespace procession::detail
