#include "ship/describe_exception.hpp"

#include <cxxabi.h>

#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "procession/detail/error_texts.hpp"
#include "ship/exceptions.hpp"

namespace procession::detail {
namespace {

// A chain this long is an accident: an exception that holds itself.
constexpr int deepest_nesting = 32;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

void set_value(CurrentException& current, const std::string& value) {
  current.what = "an exception of type " + current.type_name + " was thrown: " + value;
  current.summary = current.type_name + ": " + value;
}

// The current exception, which is not a std::exception.
void read_value(CurrentException& current) {
  try {
    throw;
  } catch (const std::nested_exception& nested) {
    current.nested = nested.nested_ptr();
  } catch (const char* text) {
    set_value(current, text != nullptr ? text : "null");
  } catch (const std::string& text) {
    set_value(current, text);
  } catch (std::string_view text) {
    set_value(current, std::string(text));
  } catch (bool value) {
    set_value(current, value ? "true" : "false");
  } catch (char value) {
    set_value(current, std::string(1, value));
  } catch (int value) {
    set_value(current, std::to_string(value));
  } catch (unsigned value) {
    set_value(current, std::to_string(value));
  } catch (long value) {
    set_value(current, std::to_string(value));
  } catch (unsigned long value) {
    set_value(current, std::to_string(value));
  } catch (long long value) {
    set_value(current, std::to_string(value));
  } catch (unsigned long long value) {
    set_value(current, std::to_string(value));
  } catch (double value) {
    set_value(current, std::to_string(value));
  } catch (...) {
    // Nothing more is known than its type.
  }
}

}  // namespace

std::string readable_type(const std::type_info& type) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string name = demangled != nullptr ? demangled : type.name();
  std::free(demangled);
  for (const std::string_view noise : {"__cxx11::", "[abi:cxx11]", "_V2::"}) {
    replace_all(name, noise, "");
  }
  replace_all(name, "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
              "std::string");
  // What std::throw_with_nested makes of an E is an E to everybody.
  constexpr std::string_view nested = "std::_Nested_exception<";
  if (name.starts_with(nested) && name.ends_with('>')) {
    name = name.substr(nested.size(), name.size() - nested.size() - 1);
    if (name.ends_with(' ')) name.pop_back();
  }
  return name == "std::__ios_failure" ? "std::ios_base::failure" : name;
}

CurrentException current_exception_details() {
  CurrentException current;
  // Asked first, because the type of an exception of another language is not to be touched.
  if (std::current_exception() == nullptr) {
    current.type_name = "(not a C++ exception)";
    current.what = "an exception that was not thrown by C++ left the function";
    current.summary = current.what;
    return current;
  }
  current.type = abi::__cxa_current_exception_type();
  current.type_name = readable_type(*current.type);
  try {
    throw;
  } catch (const RemoteInfo& remote) {
    current.origin = remote.remote_origin();
    current.type_name = current.origin->type_name;
    current.what = current.origin->what;
  } catch (const std::exception& error) {
    const char* text = error.what();
    current.what = text != nullptr ? text : "";
    const auto* nested = dynamic_cast<const std::nested_exception*>(&error);
    if (nested != nullptr) current.nested = nested->nested_ptr();
  } catch (...) {
    current.what = "an exception of type " + current.type_name + " was thrown";
    current.summary = current.type_name;
    read_value(current);
  }
  if (current.summary.empty()) current.summary = current.type_name + ": " + current.what;
  return current;
}

std::string nested_text(std::exception_ptr nested) {
  std::string text;
  for (int depth = 0; nested != nullptr && depth < deepest_nesting; ++depth) {
    try {
      std::rethrow_exception(std::exchange(nested, nullptr));
    } catch (...) {
      const CurrentException inner = current_exception_details();
      text += "caused by " + inner.summary;
      if (inner.origin != nullptr) {
        const auto* trace = dynamic_cast<const RemoteTrace*>(inner.origin.get());
        text += " (in " +
                process_text(trace != nullptr ? trace->process_name : std::string(),
                             inner.origin->pid) +
                ')';
      }
      text += '\n';
      nested = inner.nested;
    }
  }
  return text;
}

std::string describe_current_exception() {
  const CurrentException current = current_exception_details();
  std::string text = current.summary;
  std::string causes = nested_text(current.nested);
  if (!causes.empty()) {
    causes.pop_back();
    text += '\n' + causes;
  }
  return text;
}

}  // namespace procession::detail
