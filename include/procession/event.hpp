// A flag that threads and processes can wait for.
//
//   mp::Event ready;
//   mp::Process worker([ready] { prepare(); ready.set(); });
//   worker.start();
//   if (!ready.wait(5s)) report("still preparing");
//
// clang-format off
// |                | clear                        | set             | a process died in this call |
// | set            | set; all who wait go on      | nothing         | it is set and all go on, or |
// |                |                              |                 | as if it had not begun      |
// | clear          | nothing                      | clear           | clear, or as before         |
// | is_set         | false                        | true            | as without that process     |
// | wait           | waits for a set              | returns at once | as without that process     |
// | wait(duration) | waits; false at the deadline | true at once    | as without that process     |
// clang-format on
//
// A wait that was under way at a set() returns, also when a clear() follows at once. An Event has
// no owner: nothing of it is lost with a process that is killed, in whichever call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "procession/detail/deadline.hpp"
#include "procession/detail/handle.hpp"
#include "procession/types.hpp"

namespace procession {

namespace detail {
struct EventShared {
  Object head;
  std::atomic<std::uint32_t> word;  // src/sync/event.cpp
};
}  // namespace detail

// A handle: copies name the same event, in every process of the family. All methods may be called
// from any thread; on an empty (moved-from) handle they throw StateError. The first call of a
// thread that has to wait or to wake somebody may throw OutOfMemory.
class Event : public detail::HandleBase {
 public:
  // A new event, clear. Throws OutOfMemory.
  Event() : Event(Name{}) {}
  explicit Event(const Name& name);

  // Never block.
  void set() const;
  void clear() const;
  [[nodiscard]] bool is_set() const;

  // Blocks until the event is set.
  void wait() const { (void)wait_until(detail::TimePoint::max()); }
  // Blocks for `duration` at most; false: it was not set meanwhile. Below zero counts as zero.
  template <class Rep, class Period>
  bool wait(const std::chrono::duration<Rep, Period>& duration) const {
    return wait_until(detail::deadline_after(duration));
  }

  // For the codec: a handle to `object`, with a reference of its own. nullptr: an empty handle.
  static Event from_object(detail::Object* object);

 private:
  explicit Event(detail::Object* owned) noexcept : HandleBase(owned) {}
  detail::EventShared& shared() const { return shared_as<detail::EventShared>("Event"); }
  bool wait_until(detail::TimePoint deadline) const;
};

}  // namespace procession
