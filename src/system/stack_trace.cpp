#include "system/stack_trace.hpp"

#include <algorithm>
#include <boost/stacktrace/frame.hpp>
#include <string_view>
#include <vector>

namespace procession::detail {
namespace {

struct Line {
  std::string function;
  boost::stacktrace::frame frame;
};

// The last function of the throwing machinery, as the stack is read inside out. The sanitizers
// put functions of their own in front of it that contain its name.
bool throws(std::string_view function) {
  return function.find("__cxa_throw") != std::string_view::npos ||
         function.find("__cxa_rethrow") != std::string_view::npos ||
         function.find("rethrow_exception") != std::string_view::npos ||
         function.find("_Unwind_Resume") != std::string_view::npos;
}

bool is_watcher(std::string_view function) {
  return function.find("detail::call_watching_throws") != std::string_view::npos ||
         function.find("::call_at<") != std::string_view::npos;
}

// The compiler moves what throws out of the way, and marks the name: "f(int) [clone .cold]".
std::string without_clone_mark(std::string function) {
  const std::size_t mark = function.find(" [clone ");
  if (mark != std::string::npos) function.erase(mark);
  return function;
}

std::string render(const Line& line) {
  std::string text = "  at ";
  // Without a name: the address, and the file that it is in.
  if (line.function.empty()) return text + boost::stacktrace::to_string(line.frame) + '\n';
  text += line.function;
  const std::string file = line.frame.source_file();
  if (!file.empty()) text += " (" + file + ':' + std::to_string(line.frame.source_line()) + ')';
  return text + '\n';
}

}  // namespace

std::string render_stack(std::span<void* const> frames, std::size_t max) {
  std::vector<Line> lines;
  for (void* const address : frames) {
    Line line{{}, boost::stacktrace::frame(address)};
    line.function = without_clone_mark(line.frame.name());
    if (is_watcher(line.function)) break;
    lines.push_back(std::move(line));
  }
  // Everything inside of the throw is machinery. It is never deep; further out, a function of the
  // program may have such a name.
  constexpr std::ptrdiff_t deepest_machinery = 12;
  const auto outer = lines.begin() + std::min(std::ssize(lines), deepest_machinery);
  auto first = lines.begin();
  for (auto line = lines.begin(); line != outer; ++line) {
    if (throws(line->function)) first = line + 1;
  }
  std::string text;
  for (auto line = first; line != lines.end() && max > 0; ++line, --max) text += render(*line);
  return text;
}

}  // namespace procession::detail
