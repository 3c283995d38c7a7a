// Exceptions that cross from one process to another.
//
// An exception that leaves a task or a manager call is thrown again in the caller, as its own
// type. Exceptions of the standard library and of this library need nothing; a type of your own
// needs one line, anywhere in the program:
//
//   struct ParseError : std::runtime_error { using std::runtime_error::runtime_error; };
//
//   int main() {
//     mp::register_exception<ParseError>();
//     mp::Pool pool;
//     try {
//       pool.map(parse, files);
//     } catch (const ParseError& error) {          // its own type ...
//       if (auto* remote = dynamic_cast<const mp::RemoteInfo*>(&error))
//         std::cerr << remote->traceback();        // ... and where it came from
//     }
//   }
//
// What is not registered arrives as RemoteError (errors.hpp) with the original what().
#pragma once

#include "procession/detail/registered_exception.hpp"
#include "procession/detail/remote_info.hpp"
#include "procession/errors.hpp"

namespace procession {

// Lets exceptions of exactly the type E cross processes as themselves; classes derived from E are
// registered on their own. E must be a class that is
// - shippable (it has a `serialize` function, or is a plain aggregate): all of it arrives, or
// - constructible from a std::string or const char*: it is made from the original what(), or
// - a default-constructible std::exception without members of its own.
// Otherwise the program does not compile. The object thrown in the caller derives from E and from
// RemoteInfo, and its what() is the original one; a final E is thrown as it is, without RemoteInfo.
//
// That the program contains the call is enough: E is known in every process of the program,
// workers included, before its main runs, and whether or not the call is reached. A plugin loaded
// later registers when it is loaded. Thread-safe, does not block, throws nothing. Where E cannot
// be written or read at run time, that exception arrives as RemoteError.
template <class E>
void register_exception() noexcept {
  detail::RegisteredException<E>::registrar.ensure();
}

}  // namespace procession
