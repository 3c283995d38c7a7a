// call_watching_throws: a handler that looks at exceptions and never takes one.
//
// How: in its first pass the runtime asks the type of each handler on the way, a std::type_info,
// whether it takes the exception (__do_catch, virtual in libstdc++). The type of our handlers has
// a type_info of our own making. The compiler would emit one for a class itself; it leaves that
// to the file that defines the first virtual function, and for ThrowSeen no file does.
//
// Invariants:
//  1. A handler is asked only about exceptions that nobody below it takes: those that pass it.
//  2. A type_info is not told which handler it is asked for. Therefore each depth of nesting has
//     its own: the one of depth d writes to the d-th site of the thread and to no other.
//  3. A site is written once for each call. The runtime asks again in its second pass, when the
//     stack of the throw is gone.
#include <cxxabi.h>
#include <unwind.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <typeinfo>

#include "system/stack_trace.hpp"

namespace procession::detail {
namespace {

constexpr std::size_t max_nesting = ThrowSite::max_nesting;

// The calls that this thread is in, outermost first.
struct ActiveSites {
  std::array<ThrowSite*, max_nesting> at_depth{};
  std::size_t depth = 0;  // of the next call
};
thread_local constinit ActiveSites active;

_Unwind_Reason_Code record_frame(_Unwind_Context* context, void* argument) {
  auto& site = *static_cast<ThrowSite*>(argument);
  int before_instruction = 0;
  auto address = static_cast<std::uintptr_t>(_Unwind_GetIPInfo(context, &before_instruction));
  if (address == 0) return _URC_END_OF_STACK;
  // A return address may already belong to the next line, or the next function.
  if (before_instruction == 0) --address;
  site.frames[site.size++] = reinterpret_cast<void*>(address);
  return site.size < site.frames.size() ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// Makes `site` the thread's innermost one while in scope.
class Watch {
 public:
  explicit Watch(ThrowSite& site) noexcept { active.at_depth[active.depth++] = &site; }
  ~Watch() { --active.depth; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

class ThrowSeenType final : public std::type_info {
 public:
  ThrowSeenType(const char* name, std::size_t depth) noexcept
      : std::type_info(name), depth_(depth) {}

  bool __do_catch(const std::type_info* thrown, void**, unsigned) const override {
    ThrowSite& site = *active.at_depth[depth_];
    if (site.size == 0 && *thrown != typeid(abi::__forced_unwind)) {
      _Unwind_Backtrace(&record_frame, &site);
    }
    return false;
  }

 private:
  std::size_t depth_;
};

}  // namespace

// What the handlers catch by their looks; nothing is ever thrown as one.
template <std::size_t depth>
class ThrowSeen;

// The type_info of a depth, under the name by which its handler finds it. Made before all other
// static objects, so that their constructors may use the library.
#define PROCESSION_THROW_SEEN(depth)                                                         \
  template <>                                                                                \
  class ThrowSeen<depth> {                                                                   \
   public:                                                                                   \
    virtual void leaves_its_type_info_to_us();                                               \
  };                                                                                         \
  extern ThrowSeenType throw_seen_##depth asm("_ZTIN10procession6detail9ThrowSeenILm" #depth \
                                              "EEE");                                        \
  [[gnu::init_priority(101), gnu::used]] ThrowSeenType throw_seen_##depth(                   \
      "N10procession6detail9ThrowSeenILm" #depth "EEE", depth)

PROCESSION_THROW_SEEN(0);
PROCESSION_THROW_SEEN(1);
PROCESSION_THROW_SEEN(2);
PROCESSION_THROW_SEEN(3);
#undef PROCESSION_THROW_SEEN
static_assert(max_nesting == 4);

namespace {

template <std::size_t depth>
[[gnu::hot]] void call_at(void (*body)(void*), void* argument) {
  try {
    body(argument);
  } catch (const ThrowSeen<depth>&) {
    std::terminate();  // it never takes one
  }
}

constexpr std::array<void (*)(void (*)(void*), void*), max_nesting> call_at_depth{
    &call_at<0>, &call_at<1>, &call_at<2>, &call_at<3>};

}  // namespace

[[gnu::hot]] void call_watching_throws(void (*body)(void*), void* argument, ThrowSite& site) {
  site.size = 0;
  if (active.depth == max_nesting) {
    body(argument);
    return;
  }
  const auto call = call_at_depth[active.depth];
  const Watch watch(site);
  call(body, argument);
}

}  // namespace procession::detail
