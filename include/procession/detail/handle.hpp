// What every handle is made of: one counted pointer to a shared object.
//
// Copying costs no system call. Its bytes mean the same in every process of the family, so a
// closure that captured a handle can travel as bytes. Different threads may copy and drop
// handles to one object at will; one handle object is as thread-safe as an int.
//
// Example:
//   class Event : public detail::Handle<Event> { ... shared().word ... };
#pragma once

#include <string_view>
#include <utility>

#include "procession/detail/memory.hpp"

namespace procession::detail {

// Throws StateError: "this Lock is empty (moved from); ...".
[[noreturn]] void throw_empty_handle(std::string_view type);

class HandleBase {
 public:
  // The object, or nullptr after a move. For the codec and the waits.
  [[nodiscard]] Object* handle_object() const noexcept { return object_; }

 protected:
  HandleBase() noexcept = default;
  // Takes over the reference that create_object() or retain() has made.
  explicit HandleBase(Object* owned) noexcept : object_(owned) {}
  HandleBase(const HandleBase& other) : object_(other.object_) {
    if (object_ != nullptr) retain(object_);
  }
  HandleBase(HandleBase&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  HandleBase& operator=(const HandleBase& other) {
    HandleBase copy(other);
    std::swap(object_, copy.object_);
    return *this;
  }
  HandleBase& operator=(HandleBase&& other) noexcept {
    HandleBase moved(std::move(other));
    std::swap(object_, moved.object_);
    return *this;
  }
  ~HandleBase() {
    if (object_ != nullptr) release(object_);
  }

  template <class Shared>
  [[nodiscard]] Shared& shared_as(std::string_view type) const {
    if (object_ == nullptr) throw_empty_handle(type);
    return *reinterpret_cast<Shared*>(object_);
  }

 private:
  Object* object_ = nullptr;
};

}  // namespace procession::detail
