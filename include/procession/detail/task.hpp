// What a Process is to run, as the compiled core sees it: something that can be run here (Fork),
// or written down for another process (ForkServer, Spawn).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "procession/detail/callable.hpp"
#include "procession/detail/codec.hpp"
#include "procession/detail/invoke.hpp"
#include "procession/detail/shippable.hpp"
#include "procession/detail/stream.hpp"
#include "procession/detail/type_name.hpp"
#include "procession/errors.hpp"

namespace procession::detail {

// The code that runs a written task in the process that received it.
using TaskEntry = void (*)(Reader&);

// What this process was started with is decoded: the message names its handles no more. So a
// connection that the process closes is closed.
void drop_start_references() noexcept;

class Task {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;                 // once; consumes the arguments
  virtual void write(Writer&) const = 0;  // throws NotShippable
  [[nodiscard]] virtual TaskEntry entry() const noexcept = 0;
};

[[noreturn]] void refuse_to_ship(std::string_view call, std::string_view type,
                                 std::string_view role);

template <class F, class... Args>
class TaskOf final : public Task {
 public:
  template <class G, class... Given>
  explicit TaskOf(std::in_place_t, G&& f, Given&&... given)
      : f_(std::forward<G>(f)), arguments_(std::forward<Given>(given)...) {}

  void run() override { (void)call(f_, arguments_); }

  void write(Writer& writer) const override {
    if constexpr (!shippable_callable<F>) {
      refuse_to_ship(writer.call(), type_name<F>(), "target");
    } else {
      (require_value<Args>(writer), ...);
      if constexpr ((shippable_value<Args> && ...)) {
        encode_callable(writer, f_);
        std::apply([&](const Args&... each) { (encode(writer, each), ...); }, arguments_);
      }
    }
  }

  [[nodiscard]] TaskEntry entry() const noexcept override { return &TaskOf::received; }

 private:
  template <class T>
  static void require_value(Writer& writer) {
    if constexpr (!shippable_value<T>) refuse_to_ship(writer.call(), type_name<T>(), "argument");
  }

  static void received(Reader& reader) {
    if constexpr (shippable_callable<F> && (shippable_value<Args> && ...)) {
      F f = decode_callable<F>(reader);
      std::tuple<Args...> arguments{decode<Args>(reader)...};
      drop_start_references();
      (void)call(f, arguments);
    }
  }

  F f_;
  std::tuple<Args...> arguments_;
};

template <class F, class... Args>
std::unique_ptr<Task> make_task(F&& f, Args&&... arguments) {
  static_assert(calls<std::decay_t<F>&, shipped_t<Args>...>,
                "the target does not accept these arguments: they arrive as values of their own");
  return std::make_unique<TaskOf<std::decay_t<F>, shipped_t<Args>...>>(
      std::in_place, std::forward<F>(f), std::forward<Args>(arguments)...);
}

}  // namespace procession::detail
