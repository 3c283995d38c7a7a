// What a queue is to do, as plain code without concurrency.
//
// queue_stopped_test.cpp looks for an order of concurrent calls in which it gives the same answers.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>

namespace procession::faults {

enum class Call {
  Put,
  TryPut,
  Get,
  TryGet,
  Size,
  Empty,
  Full,
  Close,
  TaskDone,
  JoinFor  // without waiting
};

struct Step {
  Call call;
  int item = 0;  // what is put
};

// How a call ended. No: it returned false or nothing. Wrong: in no way that is documented.
enum class End { Done, No, ThrewClosed, ThrewState, Wrong };

struct Result {
  End end = End::Done;
  int item = 0;            // what came out
  std::size_t number = 0;  // size()
  bool operator==(const Result&) const = default;
};

inline std::string text_of(const Step& step, const Result& result) {
  static constexpr std::array calls{"put",   "try_put", "get",   "try_get",   "size",
                                    "empty", "full",    "close", "task_done", "join(0)"};
  static constexpr std::array ends{"done", "no", "QueueClosed", "StateError", "wrong"};
  return std::string(calls.at(static_cast<std::size_t>(step.call))) + " " +
         std::to_string(step.item) + ": " + ends.at(static_cast<std::size_t>(result.end)) + " " +
         std::to_string(result.item) + " " + std::to_string(result.number);
}

struct Model {
  std::size_t maxsize = 0;
  std::deque<int> items = {};
  bool closed = false;
  std::size_t put = 0;
  std::size_t done = 0;

  [[nodiscard]] bool full() const { return maxsize != 0 && items.size() >= maxsize; }

  // None: the call waits as things are; nothing has changed.
  std::optional<Result> apply(const Step& step) {
    switch (step.call) {
      case Call::Put:
      case Call::TryPut:
        return put_one(step);
      case Call::Get:
      case Call::TryGet:
        return get_one(step);
      case Call::Size:
        return Result{End::Done, 0, items.size()};
      case Call::Empty:
        return Result{items.empty() ? End::Done : End::No};
      case Call::Full:
        return Result{full() ? End::Done : End::No};
      case Call::Close:
        closed = true;
        return Result{};
      case Call::TaskDone:
        if (done == put) return Result{End::ThrewState};
        ++done;
        return Result{};
      case Call::JoinFor:
        return Result{done == put ? End::Done : End::No};
    }
    return Result{End::Wrong};
  }

 private:
  std::optional<Result> put_one(const Step& step) {
    if (closed) return Result{End::ThrewClosed};
    if (full()) return step.call == Call::Put ? std::nullopt : std::optional(Result{End::No});
    items.push_back(step.item);
    ++put;
    return Result{};
  }
  std::optional<Result> get_one(const Step& step) {
    if (!items.empty()) {
      const Result result{End::Done, items.front()};
      items.pop_front();
      return result;
    }
    if (closed) return Result{End::ThrewClosed};
    return step.call == Call::Get ? std::nullopt : std::optional(Result{End::No});
  }
};

}  // namespace procession::faults
