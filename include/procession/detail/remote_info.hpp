// What the caller knows about an exception that was thrown in another process.
//
// The class is public and re-exported by remote.hpp; it has a file of its own because errors.hpp
// needs it and remote.hpp needs errors.hpp.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>

namespace procession {

namespace detail {

// Where an exception came from. Immutable once thrown and shared by all copies of the exception
// object, so that copying one cannot throw.
struct RemoteOrigin {
  RemoteOrigin(pid_t process, std::string type, std::string text, std::string trace = {})
      : pid(process),
        type_name(std::move(type)),
        what(std::move(text)),
        rendered(std::move(trace)) {}
  virtual ~RemoteOrigin() = default;
  RemoteOrigin(const RemoteOrigin&) = delete;
  RemoteOrigin& operator=(const RemoteOrigin&) = delete;

  // Overridden where the text is made only when somebody asks for it.
  virtual std::string traceback() const { return rendered; }

  pid_t pid;
  std::string type_name;  // demangled
  std::string what;
  std::string rendered;
};

}  // namespace detail

// Base of every exception object that was thrown in another process and arrived here. It is not
// a std::exception, so that `catch (const std::out_of_range&)` and `catch (const RemoteInfo&)`
// are both unambiguous.
//
// Thread-safe; copying does not throw. Each call of traceback() makes its text anew from the debug
// information of the program, which may take milliseconds.
class RemoteInfo {
 public:
  virtual ~RemoteInfo() = default;

  // The process in which the exception was thrown first.
  pid_t pid() const noexcept { return origin_->pid; }
  // Its type there, as in the source ("std::out_of_range"). Valid as long as the exception.
  const std::string& type_name() const noexcept { return origin_->type_name; }
  // The stack at the throw, headed by process, type and what(); then the nested exceptions.
  std::string traceback() const { return origin_->traceback(); }

  // For the transport of exceptions; not for programs.
  const std::shared_ptr<const detail::RemoteOrigin>& remote_origin() const noexcept {
    return origin_;
  }

 protected:
  explicit RemoteInfo(std::shared_ptr<const detail::RemoteOrigin> origin) noexcept
      : origin_(std::move(origin)) {}
  RemoteInfo(const RemoteInfo&) noexcept = default;
  RemoteInfo& operator=(const RemoteInfo&) noexcept = default;

 private:
  std::shared_ptr<const detail::RemoteOrigin> origin_;
};

}  // namespace procession
