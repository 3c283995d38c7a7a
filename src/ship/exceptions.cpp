// The message of one exception:
//   mangled name of the type, empty when it cannot be rebuilt
//   origin: readable type, pid, process name, what(), rendered traceback, nested exceptions, frames
//   size of the payload; where there is one: alignment, payload, padding, and whether it is whole
// The payload is measured by a first encoding into a writer that is thrown away: a type whose
// encoding fails is then sent without one, and a reader that cannot read it can pass over it.
#include "ship/exceptions.hpp"

#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "procession/detail/error_texts.hpp"
#include "procession/errors.hpp"
#include "ship/describe_exception.hpp"
#include "system/stack_trace.hpp"

namespace procession::detail {
namespace {

constexpr std::uint64_t no_payload = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t payload_alignment = 16;
constexpr std::size_t most_frames = 64;

constinit std::atomic<const ExceptionType*> registered_types{nullptr};

using NameSource = std::string (*)();
constinit std::atomic<NameSource> name_source{nullptr};

std::string name_of_this_process() {
  const NameSource source = name_source.load(std::memory_order_acquire);
  return source != nullptr ? source() : std::string();
}

// Size of the payload of the current exception; none when encoding it fails.
std::optional<std::uint64_t> measure(std::string_view call, const ExceptionType& node) {
  if (node.encode == nullptr) return no_payload;
  try {
    Writer probe(call);
    node.encode(probe);
    return probe.size();
  } catch (...) {
    return std::nullopt;
  }
}

void write_payload(Writer& writer, const ExceptionType& node, std::uint64_t size) {
  writer.align(payload_alignment);
  const std::size_t start = writer.size();
  bool whole = true;
  try {
    node.encode(writer);
  } catch (...) {
    whole = false;
  }
  const std::size_t written = writer.size() - start;
  if (written > size) {
    throw ProcessError("the exception " + readable_type(*node.type) +
                       " wrote more bytes when it was serialised a second time; let its serialize "
                       "function write the same each time");
  }
  for (std::size_t padding = size - written; padding > 0;) {
    static constexpr std::byte zeros[64] = {};
    const std::size_t part = padding < sizeof zeros ? padding : sizeof zeros;
    writer.write(zeros, part);
    padding -= part;
  }
  put(writer, static_cast<std::uint8_t>(whole));
}

void write_frames(Writer& writer, std::span<const CodeAddress> frames) {
  put(writer, std::uint64_t{frames.size()});
  for (const CodeAddress& frame : frames) {
    put(writer, frame.module);
    put(writer, frame.offset);
  }
}

std::vector<CodeAddress> code_addresses(std::span<void* const> frames) {
  std::vector<CodeAddress> addresses;
  for (void* frame : frames.first(frames.size() < most_frames ? frames.size() : most_frames)) {
    try {
      addresses.push_back(code_address(frame));
    } catch (const ProcessError&) {
      // Code in no module, such as what a just-in-time compiler made, means nothing elsewhere.
    }
  }
  return addresses;
}

void write_origin(Writer& writer, const RemoteOrigin& origin) {
  const auto* trace = dynamic_cast<const RemoteTrace*>(&origin);
  put(writer, origin.type_name);
  put(writer, std::int32_t{origin.pid});
  put(writer, trace != nullptr ? trace->process_name : std::string());
  put(writer, origin.what);
  put(writer, origin.rendered);
  put(writer, trace != nullptr ? trace->nested : std::string());
  write_frames(writer, trace != nullptr ? std::span<const CodeAddress>(trace->frames)
                                        : std::span<const CodeAddress>());
}

std::shared_ptr<const RemoteTrace> read_origin(Reader& reader) {
  std::string type_name = take_string(reader);
  const auto pid = take<std::int32_t>(reader);
  std::string process_name = take_string(reader);
  std::string what = take_string(reader);
  std::string rendered = take_string(reader);
  auto trace = std::make_shared<RemoteTrace>(pid, std::move(type_name), std::move(what),
                                             std::move(rendered));
  trace->process_name = std::move(process_name);
  trace->nested = take_string(reader);
  for (auto count = take<std::uint64_t>(reader); count > 0; --count) {
    CodeAddress frame{};
    frame.module = take<decltype(frame.module)>(reader);
    frame.offset = take<decltype(frame.offset)>(reader);
    trace->frames.push_back(frame);
  }
  return trace;
}

// Reads the payload into an exception, null when it cannot, and passes over it either way.
std::exception_ptr read_payload(Reader& reader, std::uint64_t size, const ExceptionType* node,
                                const std::shared_ptr<const RemoteOrigin>& origin) {
  reader.align(payload_alignment);
  const std::size_t before = reader.left();
  std::exception_ptr rebuilt;
  if (node != nullptr && node->encode != nullptr) {
    try {
      rebuilt = node->decode(reader, origin);
    } catch (...) {
      rebuilt = nullptr;
    }
  }
  const std::size_t consumed = before - reader.left();
  if (consumed > size) {
    throw ProcessError("the exception " + origin->type_name + " of process " +
                       std::to_string(origin->pid) +
                       " read more than was written for it; let its load function read what its "
                       "save function writes");
  }
  reader.take(size - consumed);
  return take<std::uint8_t>(reader) != 0 ? rebuilt : nullptr;
}

}  // namespace

void set_process_name_source(NameSource source) noexcept {
  name_source.store(source, std::memory_order_release);
}

void link_exception_type(ExceptionType& node) noexcept {
  if (node.linked.exchange(true, std::memory_order_acq_rel)) return;
  const ExceptionType* head = registered_types.load(std::memory_order_relaxed);
  do {
    node.next.store(head, std::memory_order_relaxed);
  } while (!registered_types.compare_exchange_weak(head, &node, std::memory_order_acq_rel,
                                                   std::memory_order_relaxed));
}

const ExceptionType* find_exception_type(std::string_view mangled_name) {
  if (const ExceptionType* builtin = find_builtin_type(mangled_name)) return builtin;
  const ExceptionType* found = nullptr;
  for (const ExceptionType* node = registered_types.load(std::memory_order_acquire);
       node != nullptr; node = node->next.load(std::memory_order_acquire)) {
    if (mangled_name != node->type->name()) continue;
    if (found != nullptr && *found->type != *node->type) return nullptr;
    found = node;
  }
  return found;
}

const ExceptionType* find_exception_type(const std::type_info& type) {
  if (const ExceptionType* builtin = find_builtin_type(type)) return builtin;
  for (const ExceptionType* node = registered_types.load(std::memory_order_acquire);
       node != nullptr; node = node->next.load(std::memory_order_acquire)) {
    if (type != *node->type && type != *node->rebuilt && type != *node->nested) continue;
    return find_exception_type(node->type->name()) != nullptr ? node : nullptr;
  }
  return nullptr;
}

void encode_current_exception(Writer& writer, std::span<void* const> throw_frames) {
  const CurrentException current = current_exception_details();
  const ExceptionType* node =
      current.type != nullptr ? find_exception_type(*current.type) : nullptr;
  std::uint64_t size = no_payload;
  if (node != nullptr) {
    const std::optional<std::uint64_t> measured = measure(writer.call(), *node);
    if (!measured) node = nullptr;
    size = measured.value_or(no_payload);
  }
  put(writer, node != nullptr ? std::string_view(node->type->name()) : std::string_view());
  if (current.origin != nullptr) {  // its second crossing: the first throw is what matters
    write_origin(writer, *current.origin);
  } else {
    RemoteTrace trace(::getpid(), current.type_name, current.what);
    trace.process_name = name_of_this_process();
    trace.nested = nested_text(current.nested);
    trace.frames = code_addresses(throw_frames);
    write_origin(writer, trace);
  }
  put(writer, size);
  if (size != no_payload) write_payload(writer, *node, size);
}

std::exception_ptr decode_exception(Reader& reader) {
  const std::string mangled_name = take_string(reader);
  const std::shared_ptr<const RemoteTrace> origin = read_origin(reader);
  const ExceptionType* node = mangled_name.empty() ? nullptr : find_exception_type(mangled_name);
  const auto size = take<std::uint64_t>(reader);
  std::exception_ptr rebuilt;
  if (size != no_payload) {
    rebuilt = read_payload(reader, size, node, origin);
  } else if (node != nullptr && node->encode == nullptr) {
    try {
      rebuilt = node->decode(reader, origin);
    } catch (...) {
      rebuilt = nullptr;
    }
  }
  return rebuilt != nullptr ? rebuilt : std::make_exception_ptr(RemoteError(origin));
}

void rethrow_remote(Reader& reader) { std::rethrow_exception(decode_exception(reader)); }

std::string RemoteTrace::traceback() const {
  if (!rendered.empty()) return rendered;
  std::string text = process_text(process_name, pid) + ": " + type_name + ": " + what + '\n';
  std::vector<void*> addresses;
  for (const CodeAddress& frame : frames) {
    if (void* address = resolve(frame)) addresses.push_back(address);
  }
  text += addresses.empty() ? "  (no stack was recorded)\n" : render_stack(addresses, most_frames);
  if (!text.ends_with('\n')) text += '\n';
  return text + nested;
}

}  // namespace procession::detail
