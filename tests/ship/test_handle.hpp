// A handle as the layers above have them: one pointer, counted.
#pragma once

#include <string_view>
#include <utility>

#include "procession/detail/memory.hpp"

namespace procession::detail {

class TestHandle {
 public:
  explicit TestHandle(std::string_view name)
      : object_(create_object(ObjectKind::Test, sizeof(Object) + 8, name)) {}
  TestHandle(const TestHandle& other) : object_(other.object_) {
    if (object_ != nullptr) retain(object_);
  }
  TestHandle(TestHandle&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  TestHandle& operator=(TestHandle other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~TestHandle() {
    if (object_ != nullptr) release(object_);
  }
  static TestHandle from_object(Object* object) {
    TestHandle handle;
    if (object != nullptr) retain(object);
    handle.object_ = object;
    return handle;
  }
  Object* handle_object() const noexcept { return object_; }

 private:
  TestHandle() = default;
  Object* object_ = nullptr;
};

}  // namespace procession::detail
