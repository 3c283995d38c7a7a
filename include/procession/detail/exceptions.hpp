// Exceptions on their way to another process.
//
// The process that threw writes, from inside its handler, what is known about the current
// exception; the process that called gets an object of the same type, which is also a RemoteInfo.
// The exact dynamic type decides: a class derived from std::runtime_error that this program did
// not register arrives as RemoteError and not as a std::runtime_error.
//
// Example, in the worker:             and in the caller:
//   } catch (...) {                     Reader reader(data, size);
//     encode_current_exception(         rethrow_remote(reader);
//         writer, frames);
//   }
//
// Invariants of the list of types:
// 1. A node is linked once and never unlinked; all nodes are objects of static storage duration.
// 2. Linking is one compare-exchange, so that the list is whole in a child that is forked while
//    another thread registers.
//
// Every function may be called from any thread; none blocks.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "procession/detail/remote_info.hpp"
#include "procession/detail/stream.hpp"

namespace procession::detail {

// Writes the current exception. Call it inside a handler; `throw_frames` are the return addresses
// of its throw, innermost first, and may be empty. Afterwards the same exception is current.
//
// A registered type whose own encoding throws is sent without its payload and arrives as
// RemoteError. Throws OutOfMemory.
void encode_current_exception(Writer& writer, std::span<void* const> throw_frames);

// The exception that encode_current_exception wrote. The reader stands behind it afterwards, even
// where the payload of a registered type could not be read. Throws ProcessError when the bytes
// are not such a message.
[[nodiscard]] std::exception_ptr decode_exception(Reader& reader);
[[noreturn]] void rethrow_remote(Reader& reader);

// "std::runtime_error: text", for the report of an uncaught exception, one line more for each
// nested exception. Call it inside a handler.
[[nodiscard]] std::string describe_current_exception();

// The object that is thrown in the caller. What it says is what the original said, also where the
// constructors of E would say more or less.
template <class E, bool = std::is_base_of_v<std::exception, E>>
class Rebuilt : public E, public RemoteInfo {
 public:
  template <class... Args>
  explicit Rebuilt(std::shared_ptr<const RemoteOrigin> origin, Args&&... args)
      : E(std::forward<Args>(args)...), RemoteInfo(std::move(origin)) {}
  const char* what() const noexcept override { return remote_origin()->what.c_str(); }
};

template <class E>
class Rebuilt<E, false> : public E, public RemoteInfo {
 public:
  template <class... Args>
  explicit Rebuilt(std::shared_ptr<const RemoteOrigin> origin, Args&&... args)
      : E(std::forward<Args>(args)...), RemoteInfo(std::move(origin)) {}
};

// How one type travels. Nodes are constant-initialised, and so is the list of them.
struct ExceptionType {
  const std::type_info* type;     // E
  const std::type_info* rebuilt;  // Rebuilt<E>: E that has already crossed a process
  const std::type_info* nested;   // E thrown by std::throw_with_nested

  // Writes the payload of the current exception, an E. Null: there is nothing beyond what().
  void (*encode)(Writer& writer);
  std::exception_ptr (*decode)(Reader& payload, const std::shared_ptr<const RemoteOrigin>& origin);

  std::atomic<const ExceptionType*> next{nullptr};
  std::atomic<bool> linked{false};

  constexpr ExceptionType(const std::type_info& type_of, const std::type_info& rebuilt_type,
                          const std::type_info& nested_type, decltype(encode) encoder,
                          decltype(decode) decoder) noexcept
      : type(&type_of),
        rebuilt(&rebuilt_type),
        nested(&nested_type),
        encode(encoder),
        decode(decoder) {}
};

// Adds the node to the list, once. Does not throw and may be called before main.
void link_exception_type(ExceptionType& node) noexcept;

// The type that std::throw_with_nested gives to an E; E itself where it adds nothing.
template <class E>
constexpr const std::type_info& nested_type() noexcept {
#if defined(__GLIBCXX__)
  if constexpr (std::is_class_v<E> && !std::is_final_v<E> && std::is_copy_constructible_v<E> &&
                !std::is_base_of_v<std::nested_exception, E>) {
    return typeid(std::_Nested_exception<E>);
  }
#endif
  return typeid(E);
}

// An E as it is thrown here. A final class cannot be given a second base and is thrown as it is.
template <class E, class... Args>
std::exception_ptr rebuild(const std::shared_ptr<const RemoteOrigin>& origin, Args&&... args) {
  if constexpr (std::is_final_v<E>) {
    return std::make_exception_ptr(E(std::forward<Args>(args)...));
  } else {
    return std::make_exception_ptr(Rebuilt<E>(origin, std::forward<Args>(args)...));
  }
}

template <class E>
constexpr const std::type_info& rebuilt_type() noexcept {
  if constexpr (std::is_final_v<E>) {
    return typeid(E);
  } else {
    return typeid(Rebuilt<E>);
  }
}

}  // namespace procession::detail
