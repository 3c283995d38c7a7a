// Every error of the library.
//
// All derive from ProcessError, a std::runtime_error, and from std::exception exactly once. Each
// what() is one sentence: what happened, to which object or process, and what to do about it.
//
// Example:
//   try {
//     pool.apply(parse, path);
//   } catch (const mp::WorkerDied& death) {
//     report(death.pid(), death.signal());     // parse() crashed; the pool goes on
//   } catch (const mp::ProcessError& error) {  // anything else this library has to say
//     report(error.what());
//   }
//
// Exceptions are values: reading one from several threads is safe, copying one does not throw.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "procession/detail/remote_info.hpp"
#include "procession/types.hpp"

namespace procession {

class ProcessError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A call with a value to return ran out of time. What it waited for goes on.
class TimeoutError : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// The state of the object does not allow the call: start() twice, release() of a lock that is
// not held, a moved-from or closed handle.
class StateError : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// A callable or value that would mean something else, or nothing, in another process.
class NotShippable : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// get_nowait(), or get(timeout) at its end, found no item.
class QueueEmpty : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// put_nowait() found no room.
class QueueFull : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// put() after close(), or get() from a closed queue that has been drained.
class QueueClosed : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// Somebody aborted or reset the barrier, timed out at it, or died at it.
class BrokenBarrierError : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// The task was cancelled before it had a result.
class TaskCancelled : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// A task was given to a pool after close() or terminate().
class PoolClosed : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// A message is longer than the caller allowed. It is lost; whether the connection goes on says the
// call (connection.hpp).
class BufferTooShort : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// The other side of a connection does not know the key, or no key was given.
class AuthenticationError : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// The peer is gone: it closed the connection, or died.
class ConnectionClosed : public ProcessError {
 public:
  using ProcessError::ProcessError;
};

// The kernel refused something. phase() is the step that it refused: "fork", "exec", "limits".
class SystemError : public ProcessError {
 public:
  // `error` is an errno; `what` is the whole sentence.
  SystemError(int error, std::string phase, const std::string& what);
  int code() const noexcept { return code_; }
  const std::string& phase() const noexcept { return *phase_; }

 private:
  int code_;
  std::shared_ptr<const std::string> phase_;
};

// The family memory is full. Nothing was changed; it is safe to free some and go on. what() names
// the limit and says how to raise it.
class OutOfMemory : public ProcessError {
 public:
  using ProcessError::ProcessError;
  // Bytes; `remedy` ends the sentence ("raise it with ...").
  OutOfMemory(std::size_t requested, std::size_t limit, const std::string& remedy);
};

// The process or thread that held a lock died holding it; what the lock guards may be half
// changed. The caller does not hold the lock. recover() takes it and clears the mark.
class OwnerDied : public ProcessError {
 public:
  OwnerDied(pid_t pid, std::string process_name, std::string object_name);
  pid_t pid() const noexcept { return pid_; }
  const std::string& process_name() const noexcept { return names_->process; }
  const std::string& object_name() const noexcept { return names_->object; }

 private:
  struct Names {
    std::string process, object;
  };
  pid_t pid_;
  std::shared_ptr<const Names> names_;
};

// One waiter of a cycle: `process_name` (pid) has waited `waiting` for `waits_for`, which
// `holder_name` (held_by) holds.
struct WaitEdge {
  pid_t pid{};
  std::string process_name{}, waits_for{};
  pid_t held_by{};
  std::string holder_name{};
  std::chrono::nanoseconds waiting{};
};

// This wait would have closed a cycle of owners. Nothing was acquired by it; what the caller held
// before, it still holds.
class DeadlockError : public ProcessError {
 public:
  explicit DeadlockError(std::vector<WaitEdge> cycle);
  // One entry per waiter, starting with the one that got this error.
  const std::vector<WaitEdge>& cycle() const noexcept { return *cycle_; }

 private:
  std::shared_ptr<const std::vector<WaitEdge>> cycle_;
};

// The process that ran a task died. The pool has replaced it; other tasks are not affected.
class WorkerDied : public ProcessError {
 public:
  // `detail` is added to what(): the name of the task, the size of the limit.
  WorkerDied(pid_t pid, int exitcode, DeathReason reason, int attempts, std::string detail = {});
  pid_t pid() const noexcept { return pid_; }
  int exitcode() const noexcept { return exitcode_; }  // n, or -N for signal N
  int signal() const noexcept { return exitcode_ < 0 ? -exitcode_ : 0; }
  DeathReason reason() const noexcept { return reason_; }
  int attempts() const noexcept { return attempts_; }  // 1: not retried
  const std::string& detail() const noexcept { return *detail_; }

 private:
  pid_t pid_;
  int exitcode_;
  DeathReason reason_;
  int attempts_;
  std::shared_ptr<const std::string> detail_;
};

// An exception of another process whose type cannot be rebuilt here. what() is what it said
// there. register_exception<E>() in remote.hpp makes E arrive as itself.
class RemoteError : public ProcessError, public RemoteInfo {
 public:
  RemoteError(std::string type_name, pid_t pid, const std::string& what, std::string traceback = {})
      : ProcessError(what),
        RemoteInfo(std::make_shared<const detail::RemoteOrigin>(pid, std::move(type_name), what,
                                                                std::move(traceback))) {}
  explicit RemoteError(const std::shared_ptr<const detail::RemoteOrigin>& origin)
      : ProcessError(origin->what), RemoteInfo(origin) {}
};

}  // namespace procession

#include "procession/detail/error_texts.hpp"
