// One process is stopped anywhere in a call of a queue; others make some calls; then it goes on.
// What all of them were told could have happened one after the other. So no call is mistaken
// about what others do between any two of its instructions, and no wake-up is lost.
#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "family.hpp"
#include "harness.hpp"
#include "procession/errors.hpp"
#include "procession/queue.hpp"
#include "queue_model.hpp"
#include "sync/thread_table.hpp"
#include "tracee.hpp"

namespace procession::faults {
namespace {

struct InCell {
  using Item = int;
  static constexpr std::size_t coarser = 1;
  static Item make(int n) { return n; }
  static int number(const Item& item) { return item; }
};
struct InBlock {
  static constexpr std::size_t coarser = 13;  // making the block is thousands of instructions
  using Item = std::array<long, 4>;
  static Item make(int n) { return {n, n, n, n}; }
  static int number(const Item& item) {
    return item == make(static_cast<int>(item[0])) ? static_cast<int>(item[0]) : -1;
  }
};

template <class Kind>
Result call(const JoinableQueue<typename Kind::Item>& queue, const Step& step) {
  const auto truth = [](bool is) { return Result{is ? End::Done : End::No}; };
  switch (step.call) {
    case Call::Put:
      queue.put(Kind::make(step.item));
      return {};
    case Call::TryPut:
      return truth(queue.try_put(Kind::make(step.item)));
    case Call::Get:
      return {End::Done, Kind::number(queue.get())};
    case Call::TryGet: {
      const auto item = queue.try_get();
      return item ? Result{End::Done, Kind::number(*item)} : Result{End::No};
    }
    case Call::Size:
      return {End::Done, 0, queue.size()};
    case Call::Empty:
      return truth(queue.empty());
    case Call::Full:
      return truth(queue.full());
    case Call::Close:
      queue.close();
      return {};
    case Call::TaskDone:
      queue.task_done();
      return {};
    case Call::JoinFor:
      return truth(queue.join(std::chrono::seconds(0)));
  }
  return {End::Wrong};
}

template <class Kind>
Result perform(const JoinableQueue<typename Kind::Item>& queue, const Step& step) {
  try {
    return call<Kind>(queue, step);
  } catch (const QueueClosed&) {
    return {End::ThrewClosed};
  } catch (const StateError&) {
    return {End::ThrewState};
  }
}

struct Case {
  Step stopped;              // the call that is stopped
  std::vector<Step> others;  // meanwhile
  std::size_t stride = 1;
};

struct Beginning {
  std::size_t maxsize;
  int items;  // 1, 2, ... are in it
  int moved;  // how many went through it before
};

struct Answer {
  Step step;
  Result result;
};

template <class Kind>
class QueueStopped : public FamilyFaults {
 protected:
  using Q = JoinableQueue<typename Kind::Item>;

  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    if (!Tracee::breakpoints_work()) GTEST_SKIP() << "nothing stops at an address here";
    const Q warm(1);
    warm.put(Kind::make(1));
    (void)warm.get();
    EXPECT_FALSE(warm.try_get(std::chrono::microseconds(1)));  // counts the CPUs, once
  }

  // At every `stride`-th instruction of the call, until it has returned before that.
  void stop_everywhere(const Beginning& beginning, const Case& plan) {
    const std::size_t stride = stride_asked_for(plan.stride * Kind::coarser);
    std::size_t at = 0;
    while (!HasFailure() && stop_at(at, beginning, plan)) {
      at += stride;
      ++stops_;
    }
  }

  std::size_t stops_ = 0;

 private:
  // False: the call had ended after fewer instructions.
  bool stop_at(std::size_t instruction, const Beginning& beginning, const Case& plan) {
    bury_the_dead();
    const Q queue(beginning.maxsize);
    Model model{beginning.maxsize};
    const auto both = [&](const Step& step) {
      (void)model.apply(step);
      (void)perform<Kind>(queue, step);
    };
    for (int i = 0; i < beginning.moved; ++i) {
      both({Call::TryPut, 9});
      both({Call::TryGet});
    }
    for (int i = 1; i <= beginning.items; ++i) both({Call::TryPut, i});

    SharedBox<Result> result;
    result->end = End::Wrong;
    const bool waits = plan.stopped.call == Call::Put || plan.stopped.call == Call::Get;
    if (waits) wait_in_vain(queue, plan.stopped.call);
    Tracee tracee([] { (void)detail::this_thread(); },
                  [&] { *result = perform<Kind>(queue, plan.stopped); },
                  {.time = std::chrono::seconds(20), .blocks = waits});
    Stop stop = Stop::Stepped;
    for (std::size_t i = 0; i < instruction && stop == Stop::Stepped; ++i) stop = tracee.step();
    const bool ended_before = stop == Stop::Finished;
    const bool asleep = stop == Stop::Blocked;
    std::vector<Answer> others;
    for (const Step& step : plan.others) others.push_back({step, perform<Kind>(queue, step)});
    if (!ended_before) stop = run_on(tracee);
    std::vector<Answer> rest;
    do {
      rest.push_back({{Call::Size}, perform<Kind>(queue, {Call::Size})});
      rest.push_back({{Call::TryGet}, perform<Kind>(queue, {Call::TryGet})});
    } while (rest.back().result.end == End::Done);

    const Answer mine{plan.stopped, *result};
    if (stop != Stop::Finished) {
      ADD_FAILURE() << "after instruction " << instruction
                    << " it did not go on to its end: " << tracee.describe()
                    << text_of(mine, others, rest);
    } else if (!is_some_order(model, mine, others, rest, ended_before)) {
      ADD_FAILURE() << "stopped after instruction " << instruction << ":"
                    << text_of(mine, others, rest);
    }
    tracee.kill();
    return !ended_before && !asleep;
  }

  // After it the next wait sleeps at once: thousands of looks before that are not worth a stop
  // each.
  static void wait_in_vain(const Q& queue, Call call) {
    constexpr std::chrono::microseconds longer_than_any_spin(200);
    if (call == Call::Get) {
      EXPECT_FALSE(queue.try_get(longer_than_any_spin));
    } else {
      EXPECT_FALSE(queue.put(Kind::make(9), longer_than_any_spin));
    }
  }

  // There is no code at address 1: it runs to its end, or for as long as it may.
  static Stop run_on(Tracee& tracee) {
    Stop stop = tracee.run_to(1, 1);
    for (int looks = 0; stop == Stop::Blocked && looks < 20; ++looks) stop = tracee.run_to(1, 1);
    return stop;
  }

  // The stopped call comes somewhere among the others; before them if it had ended.
  static bool is_some_order(const Model& model, const Answer& mine,
                            const std::vector<Answer>& others, const std::vector<Answer>& rest,
                            bool ended_before) {
    for (std::size_t place = 0; place <= (ended_before ? 0 : others.size()); ++place) {
      std::vector<Answer> order = others;
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(place), mine);
      order.insert(order.end(), rest.begin(), rest.end());
      Model at = model;
      bool all = true;
      for (const Answer& each : order) all = all && at.apply(each.step) == each.result;
      if (all) return true;
    }
    return false;
  }

  static std::string text_of(const Answer& mine, const std::vector<Answer>& others,
                             const std::vector<Answer>& rest) {
    std::string text = "\n  stopped: " + faults::text_of(mine.step, mine.result);
    for (const Answer& each : others)
      text += "\n  meanwhile: " + faults::text_of(each.step, each.result);
    for (const Answer& each : rest) text += "\n  then: " + faults::text_of(each.step, each.result);
    return text;
  }
};

using StoppedKinds = testing::Types<InCell, InBlock>;
struct StoppedNames {
  template <class T>
  static std::string GetName(int) {
    return std::is_same_v<T, InCell> ? "InCell" : "InBlock";
  }
};
TYPED_TEST_SUITE(QueueStopped, StoppedKinds, StoppedNames);

const std::vector<Beginning> beginnings{{0, 0, 0}, {0, 2, 0}, {1, 0, 3}, {1, 1, 0}, {2, 2, 63}};
const Step put{Call::TryPut, 50}, another{Call::TryPut, 51}, get{Call::TryGet}, closes{Call::Close};

// What others do, so that what the stopped call sees is another thing before and after.
const std::vector<std::vector<Step>> meanwhile{
    {put, get}, {get, put}, {get, get, put}, {put, another, get}, {get, closes}};

TYPED_TEST(QueueStopped, ACallThatDoesNotWait) {
  for (const Call call : {Call::TryPut, Call::TryGet, Call::Size, Call::Empty, Call::Full}) {
    for (const Beginning& beginning : beginnings) {
      for (const auto& others : meanwhile) {
        SCOPED_TRACE("a queue of " + std::to_string(beginning.maxsize) + " with " +
                     std::to_string(beginning.items));
        this->stop_everywhere(beginning, {{call, 99}, others, 17});
        if (this->HasFailure()) return;
      }
    }
  }
  std::cout << this->stops_ << " stops\n";
}

TYPED_TEST(QueueStopped, AClose) {
  for (const Beginning& beginning : beginnings) {
    this->stop_everywhere(beginning, {{Call::Close}, {get, put, get, another}, 1});
    if (this->HasFailure()) return;
  }
  std::cout << this->stops_ << " stops\n";
}

// The end of the first ring.
TYPED_TEST(QueueStopped, APutThatGrows) {
  for (const auto& others :
       std::vector<std::vector<Step>>{{put}, {put, another}, {get, put}, {closes}}) {
    this->stop_everywhere({0, 63, 0}, {{Call::TryPut, 99}, others, 211});
    if (this->HasFailure()) return;
  }
  std::cout << this->stops_ << " stops\n";
}

// The close at last ends the wait of those who still do.
TYPED_TEST(QueueStopped, ACallThatWaits) {
  for (const bool puts : {false, true}) {
    const Beginning beginning = puts ? Beginning{1, 1, 0} : Beginning{0, 0, 0};
    const std::vector<std::vector<Step>> changes =
        puts ? std::vector<std::vector<Step>>{{get}, {get, put, get}, {get, put, closes}, {closes}}
             : std::vector<std::vector<Step>>{
                   {put}, {put, get, another}, {put, get, closes}, {closes}};
    for (const auto& others : changes) {
      this->stop_everywhere(beginning, {{puts ? Call::Put : Call::Get, 99}, others, 13});
      if (this->HasFailure()) return;
    }
  }
  std::cout << this->stops_ << " stops\n";
}

TYPED_TEST(QueueStopped, TaskDoneAndJoin) {
  const Step done{Call::TaskDone};
  for (const Call call : {Call::TaskDone, Call::JoinFor}) {
    for (const auto& others :
         std::vector<std::vector<Step>>{{done}, {put, done}, {done, done, put}}) {
      this->stop_everywhere({0, 1, 0}, {{call}, others, 11});
      if (this->HasFailure()) return;
    }
  }
  std::cout << this->stops_ << " stops\n";
}

}  // namespace
}  // namespace procession::faults
