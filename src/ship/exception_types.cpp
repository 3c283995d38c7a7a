// The exceptions of libstdc++ and of this library: what each carries beyond what().
//
// A payload is written from the object and read into the arguments of its constructor. Types that
// are made of their text alone, or of nothing, have none.
#include <any>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "procession/errors.hpp"
#include "ship/exceptions.hpp"
#include "ship/foreign_category.hpp"

namespace procession::detail {
namespace {

using Origin = std::shared_ptr<const RemoteOrigin>;

// For a type with a payload: `void write(Writer&, const E&)` and
// `std::exception_ptr read(Reader&, const Origin&)`.
template <class E>
struct Payload;

template <class E>
void write_payload(Writer& writer) {
  try {
    throw;
  } catch (const E& error) {
    Payload<E>::write(writer, error);
  }
}

template <class E>
std::exception_ptr from_text(Reader&, const Origin& origin) {
  return rebuild<E>(origin, origin->what);
}

template <class E>
std::exception_ptr from_nothing(Reader&, const Origin& origin) {
  return rebuild<E>(origin);
}

// libstdc++ composes the text of a std::system_error as "what: message of the code".
std::string text_before_code(const std::system_error& error) {
  const std::string whole = error.std::runtime_error::what();
  const std::string message = error.code().message();
  const std::string tail = ": " + message;
  return whole.ends_with(tail) ? whole.substr(0, whole.size() - tail.size()) : whole;
}

template <>
struct Payload<std::system_error> {
  static void write(Writer& writer, const std::system_error& error) {
    put_code(writer, error.code());
    put(writer, text_before_code(error));
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const std::error_code code = take_code(reader);
    return rebuild<std::system_error>(origin, code, take_string(reader));
  }
};

template <>
struct Payload<std::ios_base::failure> {
  static void write(Writer& writer, const std::ios_base::failure& error) {
    Payload<std::system_error>::write(writer, error);
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const std::error_code code = take_code(reader);
    return rebuild<std::ios_base::failure>(origin, take_string(reader), code);
  }
};

template <>
struct Payload<std::filesystem::filesystem_error> {
  using Error = std::filesystem::filesystem_error;
  static void write(Writer& writer, const Error& error) {
    Payload<std::system_error>::write(writer, error);
    put(writer, error.path1().native());
    put(writer, error.path2().native());
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const std::error_code code = take_code(reader);
    const std::string text = take_string(reader);
    const std::filesystem::path first = take_string(reader);
    const std::filesystem::path second = take_string(reader);
    return rebuild<Error>(origin, text, first, second, code);
  }
};

template <>
struct Payload<std::future_error> {
  static void write(Writer& writer, const std::future_error& error) {
    put(writer, std::int32_t{error.code().value()});
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    return rebuild<std::future_error>(origin,
                                      static_cast<std::future_errc>(take<std::int32_t>(reader)));
  }
};

template <>
struct Payload<std::regex_error> {
  static void write(Writer& writer, const std::regex_error& error) {
    put(writer, static_cast<std::int32_t>(error.code()));
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const auto code = static_cast<std::regex_constants::error_type>(take<std::int32_t>(reader));
    return rebuild<std::regex_error>(origin, code);
  }
};

template <>
struct Payload<SystemError> {
  static void write(Writer& writer, const SystemError& error) {
    put(writer, std::int32_t{error.code()});
    put(writer, error.phase());
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const auto code = take<std::int32_t>(reader);
    return rebuild<SystemError>(origin, code, take_string(reader), origin->what);
  }
};

template <>
struct Payload<OwnerDied> {
  static void write(Writer& writer, const OwnerDied& error) {
    put(writer, std::int32_t{error.pid()});
    put(writer, error.process_name());
    put(writer, error.object_name());
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const auto pid = take<std::int32_t>(reader);
    std::string process = take_string(reader);
    return rebuild<OwnerDied>(origin, pid, std::move(process), take_string(reader));
  }
};

template <>
struct Payload<DeadlockError> {
  static void write(Writer& writer, const DeadlockError& error) {
    put(writer, std::uint64_t{error.cycle().size()});
    for (const WaitEdge& edge : error.cycle()) {
      put(writer, std::int32_t{edge.pid});
      put(writer, edge.process_name);
      put(writer, edge.waits_for);
      put(writer, std::int32_t{edge.held_by});
      put(writer, edge.holder_name);
      put(writer, std::int64_t{edge.waiting.count()});
    }
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    std::vector<WaitEdge> cycle;
    for (auto count = take<std::uint64_t>(reader); count > 0; --count) {
      WaitEdge edge;
      edge.pid = take<std::int32_t>(reader);
      edge.process_name = take_string(reader);
      edge.waits_for = take_string(reader);
      edge.held_by = take<std::int32_t>(reader);
      edge.holder_name = take_string(reader);
      edge.waiting = std::chrono::nanoseconds(take<std::int64_t>(reader));
      cycle.push_back(std::move(edge));
    }
    return rebuild<DeadlockError>(origin, std::move(cycle));
  }
};

template <>
struct Payload<WorkerDied> {
  static void write(Writer& writer, const WorkerDied& error) {
    put(writer, std::int32_t{error.pid()});
    put(writer, std::int32_t{error.exitcode()});
    put(writer, static_cast<std::int32_t>(error.reason()));
    put(writer, std::int32_t{error.attempts()});
    put(writer, error.detail());
  }
  static std::exception_ptr read(Reader& reader, const Origin& origin) {
    const auto pid = take<std::int32_t>(reader);
    const auto exitcode = take<std::int32_t>(reader);
    const auto reason = static_cast<DeathReason>(take<std::int32_t>(reader));
    const auto attempts = take<std::int32_t>(reader);
    return rebuild<WorkerDied>(origin, pid, exitcode, reason, attempts, take_string(reader));
  }
};

template <class E>
constexpr ExceptionType node(decltype(ExceptionType::encode) encode,
                             decltype(ExceptionType::decode) decode) {
  return {typeid(E), typeid(Rebuilt<E>), nested_type<E>(), encode, decode};
}
template <class E>
constexpr ExceptionType with_text() {
  return node<E>(nullptr, &from_text<E>);
}
template <class E>
constexpr ExceptionType with_nothing() {
  return node<E>(nullptr, &from_nothing<E>);
}
template <class E>
constexpr ExceptionType with_payload() {
  return node<E>(&write_payload<E>, &Payload<E>::read);
}

// Constant-initialised: exceptions also travel before main. The frequent ones come first.
constinit const ExceptionType builtin_types[] = {
    with_text<std::runtime_error>(),
    with_text<std::logic_error>(),
    with_text<std::out_of_range>(),
    with_text<std::invalid_argument>(),
    with_text<std::domain_error>(),
    with_text<std::length_error>(),
    with_text<std::range_error>(),
    with_text<std::overflow_error>(),
    with_text<std::underflow_error>(),
    with_nothing<std::exception>(),
    with_nothing<std::bad_alloc>(),
    with_nothing<std::bad_array_new_length>(),
    with_nothing<std::bad_cast>(),
    with_nothing<std::bad_any_cast>(),
    with_nothing<std::bad_typeid>(),
    with_nothing<std::bad_exception>(),
    with_nothing<std::bad_function_call>(),
    with_nothing<std::bad_weak_ptr>(),
    with_nothing<std::bad_optional_access>(),
    with_nothing<std::bad_variant_access>(),
    with_payload<std::system_error>(),
    with_payload<std::ios_base::failure>(),
    with_payload<std::filesystem::filesystem_error>(),
    with_payload<std::future_error>(),
    with_payload<std::regex_error>(),
    with_text<ProcessError>(),
    with_text<TimeoutError>(),
    with_text<StateError>(),
    with_text<NotShippable>(),
    with_text<QueueEmpty>(),
    with_text<QueueFull>(),
    with_text<QueueClosed>(),
    with_text<BrokenBarrierError>(),
    with_text<TaskCancelled>(),
    with_text<PoolClosed>(),
    with_text<BufferTooShort>(),
    with_text<AuthenticationError>(),
    with_text<ConnectionClosed>(),
    with_payload<SystemError>(),
    with_text<OutOfMemory>(),
    with_payload<OwnerDied>(),
    with_payload<DeadlockError>(),
    with_payload<WorkerDied>(),
};

}  // namespace

const ExceptionType* find_builtin_type(const std::type_info& type) {
  for (const ExceptionType& node : builtin_types) {
    if (type == *node.type || type == *node.rebuilt || type == *node.nested) return &node;
  }
  // Streams throw a class of libstdc++'s own, which no header declares.
  if (std::string_view(type.name()) == "St13__ios_failure") {
    return find_builtin_type(typeid(std::ios_base::failure));
  }
  return nullptr;
}

const ExceptionType* find_builtin_type(std::string_view mangled_name) {
  for (const ExceptionType& node : builtin_types) {
    if (mangled_name == node.type->name()) return &node;
  }
  return nullptr;
}

}  // namespace procession::detail
