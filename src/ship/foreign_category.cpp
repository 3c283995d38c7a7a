#include "ship/foreign_category.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <future>
#include <ios>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "procession/detail/trampoline.hpp"
#include "procession/errors.hpp"
#include "ship/exceptions.hpp"

namespace procession::detail {
namespace {

constexpr std::uint32_t no_module = std::numeric_limits<std::uint32_t>::max();

enum class Category : std::uint8_t { Foreign, Generic, System, Iostream, Future };

Category category_of(const std::error_category& category) noexcept {
  if (category == std::generic_category()) return Category::Generic;
  if (category == std::system_category()) return Category::System;
  if (category == std::iostream_category()) return Category::Iostream;
  if (category == std::future_category()) return Category::Future;
  return Category::Foreign;
}

const std::error_category& standard_category(Category category) noexcept {
  switch (category) {
    case Category::System:
      return std::system_category();
    case Category::Iostream:
      return std::iostream_category();
    case Category::Future:
      return std::future_category();
    case Category::Generic:
    case Category::Foreign:
      break;
  }
  return std::generic_category();
}

// One code of a category of another process. Codes keep pointing to it, so it is never freed;
// there are as many as there are different codes.
class ForeignCategory final : public std::error_category {
 public:
  ForeignCategory(std::string name, int value, std::string message, int condition)
      : name_(std::move(name)),
        message_(std::move(message)),
        value_(value),
        condition_(condition) {}

  const char* name() const noexcept override { return name_.c_str(); }
  std::string message(int value) const override {
    return value == value_ ? message_ : name_ + " error " + std::to_string(value);
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    return value == value_ && condition_ != 0
               ? std::error_condition(condition_, std::generic_category())
               : std::error_condition(value, *this);
  }
  bool is(const std::string& name, int value, const std::string& message, int condition) const {
    return value == value_ && condition == condition_ && name == name_ && message == message_;
  }

  const ForeignCategory* next = nullptr;

 private:
  std::string name_;
  std::string message_;
  int value_;
  int condition_;  // value of the generic condition, 0: none
};

// Only ever grows, by one compare-exchange, so that it is whole in a forked child.
constinit std::atomic<const ForeignCategory*> foreign_categories{nullptr};

const ForeignCategory& foreign_category(const std::string& name, int value,
                                        const std::string& message, int condition) {
  const ForeignCategory* head = foreign_categories.load(std::memory_order_acquire);
  std::unique_ptr<ForeignCategory> made;
  for (;;) {
    for (const ForeignCategory* node = head; node != nullptr; node = node->next) {
      if (node->is(name, value, message, condition)) return *node;
    }
    if (!made) made = std::make_unique<ForeignCategory>(name, value, message, condition);
    made->next = head;
    if (foreign_categories.compare_exchange_weak(head, made.get(), std::memory_order_acq_rel,
                                                 std::memory_order_acquire)) {
      return *made.release();
    }
  }
}

// Where the receiver may find the category.
CodeAddress home_of(const std::error_category& category) {
  try {
    return code_address(std::addressof(category));
  } catch (const NotShippable&) {
    return {no_module, 0};
  }
}

// The category at its home in this process; null unless it is there and has been constructed.
const std::error_category* find_at_home(CodeAddress home, const std::string& name) {
  const void* object = home.module == no_module ? nullptr : resolve(home);
  if (object == nullptr) return nullptr;
  // Before its constructor has run, an object of static storage duration is all zero.
  std::uintptr_t first_word = 0;
  std::memcpy(&first_word, object, sizeof first_word);
  if (first_word == 0) return nullptr;
  const auto* category = static_cast<const std::error_category*>(object);
  return category->name() == name ? category : nullptr;
}

}  // namespace

void put_code(Writer& writer, const std::error_code& code) {
  const Category category = category_of(code.category());
  put(writer, static_cast<std::uint8_t>(category));
  put(writer, std::int32_t{code.value()});
  if (category != Category::Foreign) return;
  const CodeAddress home = home_of(code.category());
  put(writer, home.module);
  put(writer, home.offset);
  const std::error_condition condition = code.default_error_condition();
  const bool generic = condition.category() == std::generic_category();
  put(writer, std::string_view(code.category().name()));
  put(writer, code.message());
  put(writer, std::int32_t{generic ? condition.value() : 0});
}

std::error_code take_code(Reader& reader) {
  const auto category = static_cast<Category>(take<std::uint8_t>(reader));
  const int value = take<std::int32_t>(reader);
  if (category != Category::Foreign) return {value, standard_category(category)};
  CodeAddress home{};
  home.module = take<std::uint32_t>(reader);
  home.offset = take<std::uint64_t>(reader);
  std::string name = take_string(reader);
  std::string message = take_string(reader);
  const int condition = take<std::int32_t>(reader);
  if (const std::error_category* found = find_at_home(home, name)) return {value, *found};
  return {value, foreign_category(name, value, message, condition)};
}

}  // namespace procession::detail
