// A type of the program that travels as itself.
//
// A worker never runs the program's main, so the call of register_exception in it must not be what
// registers. It only names a static data member, which makes the compiler instantiate that, and
// its initialisation is part of loading the binary, in the worker as everywhere.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>

#include "procession/detail/codec.hpp"
#include "procession/detail/exceptions.hpp"
#include "procession/detail/remote_info.hpp"
#include "procession/detail/shippable.hpp"
#include "procession/detail/stream.hpp"

namespace procession::detail {

template <class E>
inline constexpr bool made_from_text =
    std::is_constructible_v<E, const std::string&> || std::is_constructible_v<E, const char*>;

// A class that adds only functions to std::exception is the same wherever it is made.
template <class E>
inline constexpr bool made_from_nothing =
    std::is_base_of_v<std::exception, E> &&
    sizeof(E) == sizeof(std::exception) && std::is_default_constructible_v<E>;

template <class E>
void encode_registered(Writer& writer) {
  try {
    throw;
  } catch (const E& error) {
    encode(writer, error);
  }
}

template <class E>
std::exception_ptr decode_registered(Reader& reader,
                                     const std::shared_ptr<const RemoteOrigin>& origin) {
  return rebuild<E>(origin, decode<E>(reader));
}

template <class E>
std::exception_ptr make_registered(Reader&, const std::shared_ptr<const RemoteOrigin>& origin) {
  if constexpr (std::is_constructible_v<E, const std::string&>) {
    return rebuild<E>(origin, origin->what);
  } else if constexpr (!made_from_text<E>) {
    return rebuild<E>(origin);
  } else {
    return rebuild<E>(origin, origin->what.c_str());
  }
}

template <class E>
struct RegisteredException {
  static_assert(std::is_class_v<E> && !std::is_const_v<E>,
                "register_exception<E>: E must be a class, without const or reference");
  static_assert(!std::is_base_of_v<RemoteInfo, E>,
                "register_exception<E>: E must not derive from RemoteInfo or RemoteError");
  static_assert(std::is_copy_constructible_v<E>,
                "register_exception<E>: what is thrown in another process must be copyable");
  static_assert(shippable_value<E> || made_from_text<E> || made_from_nothing<E>,
                "register_exception<E>: E must be shippable (give it a serialize function) or "
                "constructible from a std::string, which will be its what()");

  // Linked at most once, whoever comes first: the loader or a call before it.
  struct Registrar {
    Registrar() noexcept { ensure(); }
    void ensure() const noexcept { link_exception_type(node); }
  };

  static constexpr ExceptionType make_node() noexcept {
    if constexpr (shippable_value<E>) {
      return {typeid(E), rebuilt_type<E>(), nested_type<E>(), &encode_registered<E>,
              &decode_registered<E>};
    } else {
      return {typeid(E), rebuilt_type<E>(), nested_type<E>(), nullptr, &make_registered<E>};
    }
  }

  static inline constinit ExceptionType node = make_node();
  static inline const Registrar registrar{};
};

}  // namespace procession::detail
