// The pool: a worker killed anywhere between taking a chunk and completing it.
//
// After each death recovery must come to one of three ends for each item: its result, whole; run
// again; WorkerDied. An item is never lost, never run more often than its retries allow, and what
// the dead had made and not given away goes back.
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/page_heap.hpp"
#include "memory/sweep.hpp"
#include "pool_tasks.hpp"
#include "pool_under_test.hpp"
#include "procession/errors.hpp"

namespace procession::faults {
namespace {

using namespace detail;

// What a pool's process and its workers share, of the pool in hand. No more than that: the
// throwing of an exception is watched over a hundred thousand instructions.
std::vector<std::span<const std::byte>> words_of(PoolShared& shared) {
  const auto bytes = [](const void* from, std::size_t count) {
    return std::span(static_cast<const std::byte*>(from), count);
  };
  std::vector<std::span<const std::byte>> words{bytes(&shared, sizeof shared)};
  words.push_back(bytes(&page_word(0), family().top.load() * 8));
  const Lane& lane = first_lane(shared);
  words.push_back(bytes(&lane, sizeof lane));
  for (std::uint64_t at = 0; at < lane.tail.load(); ++at) {
    const Batch* batch = &batch_in_first_lane(shared, at);
    words.push_back(bytes(batch, batch->bytes));
    for (std::uint32_t item = 0; batch->result_kind == ResultKind::Boxed && item < batch->items;
         ++item) {
      const auto* box = reinterpret_cast<void* const*>(batch->results + item * 8u);
      if (*box != nullptr && find_block(*box) == *box) words.push_back(bytes(*box, 64));
    }
  }
  return words;
}

// As CallState::wait(), which only the pool's own process may call: sleeps until the batch is done.
int wait_until_done(Batch& batch) {
  batch.waiters.fetch_add(1);
  for (;;) {
    const std::uint32_t seen = batch.event.load();
    const bool dropped = batch.dropped.load() != 0;
    std::uint32_t done = 0;
    for (std::uint32_t i = 0; i < batch.chunks; ++i) {
      const std::uint32_t state = batch.states[i].load();
      done += state == Batch::finished || (dropped && state == Batch::pending);
    }
    if (done == batch.chunks) return 0;
    futex_wait(batch.event, seen);
  }
}

class PoolFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    BarePool warm;  // what is made once: the table of modules
  }

  void tidy() {
    bury_the_dead();
    return_kept_blocks();  // the pool frees as every program does
    tidy_heap();
  }

  // One call of a pool with one worker, which is the child. `submit` makes the call, `check` looks
  // at its outcome once it is ready.
  template <class Result>
  void worker_case(const std::string& name, int retries, std::size_t stride,
                   const std::function<Result(const PoolView&)>& submit,
                   const std::function<void(const Trial&, Result&)>& check) {
    std::optional<BarePool> pool;
    std::optional<Result> result;
    Contents before;
    FaultPlan plan;
    plan.name = name;
    plan.shared = [&] { return words_of(pool->shared()); };
    const auto end_pool = [&] {
      result.reset();
      pool.reset();
      tidy();
    };
    plan.setup = [&] {
      end_pool();
      for (auto& each : runs()->begun) each.store(0);
      before = Contents::look();
      pool.emplace(retries);
      result.emplace(submit(pool->view()));
      pool->core().close();
    };
    plan.time_limit = std::chrono::seconds(10);
    plan.operation = [&] { work(pool->shared(), 0); };
    plan.waiter = [&] { return wait_until_done(batch_in_first_lane(pool->shared())); };
    plan.survivors = [&](const Trial& trial) {
      sweep_dead_processes();
      pool->worker_died(trial.pid);
      work(pool->shared(), 0);  // another worker takes what is left
      trial.expect(trial.waiter() == 0, "who waits for the call is woken");
      bury_the_dead();
      trial.expect(result->ready(), "the call is done: no item is lost");
      if (result->ready()) check(trial, *result);
      const auto& shared = pool->shared();
      trial.expect(first_lane(shared).empty(), "the lane is empty");
      trial.expect(static_cast<int>(shared.sleepers.load()) >= 0, "pool 4: sleepers are counted");
      end_pool();
      expect_sound(trial);
      expect_same(trial, before);
    };
    kill_everywhere(plan, stride);
    end_pool();
  }
};

std::uint32_t times_begun(int item) { return runs()->begun[item].load(); }

// The outcome of a single call with a value.
template <class R>
void expect_value_or_death(const Trial& trial, AsyncResult<R>& result, int retries) {
  const std::uint32_t begun = times_begun(0);
  trial.expect(begun <= 1u + static_cast<unsigned>(retries), "run as often as it may be");
  try {
    trial.expect(is_whole(result.get(), 0), "the result is whole");
    trial.expect(begun >= 1, "a result comes from a run");
  } catch (const WorkerDied& died) {
    trial.expect(retries == 0, "it is run again while it has retries");
    trial.expect(died.pid() == trial.pid && died.signal() == SIGKILL && died.attempts() == 1,
                 "WorkerDied says who died, of what, at which attempt");
    trial.expect(!trial.completed, "what was completed has a result");
  }
}

TEST_F(PoolFaults, AWorkerWithAnApplyOfAPlainResult) {
  worker_case<AsyncResult<Wide>>(
      "apply, plain", 0, 1, [](const PoolView& pool) { return pool.apply_async(run_flat, 0); },
      [](const Trial& trial, AsyncResult<Wide>& result) {
        expect_value_or_death(trial, result, 0);
      });
}

TEST_F(PoolFaults, AWorkerWithAnApplyOfABoxedResult) {
  for (const int retries : {0, 1}) {
    worker_case<AsyncResult<std::string>>(
        "apply, boxed, retries " + std::to_string(retries), retries, retries == 0 ? 1 : 5,
        [](const PoolView& pool) { return pool.apply_async(run_boxed, 0); },
        [&](const Trial& trial, AsyncResult<std::string>& result) {
          expect_value_or_death(trial, result, retries);
        });
  }
}

TEST_F(PoolFaults, AWorkerWithATaskThatThrows) {
  worker_case<AsyncResult<std::string>>(
      "apply, throwing", 0, 997,
      [](const PoolView& pool) { return pool.apply_async(run_throwing, 0); },
      [](const Trial& trial, AsyncResult<std::string>& result) {
        trial.expect(times_begun(0) <= 1, "run as often as it may be");
        try {
          result.get();
          trial.expect(false, "a task that throws has no result");
        } catch (const std::out_of_range& error) {
          trial.expect(std::string(error.what()) == "no item 0", "the exception is whole");
        } catch (const WorkerDied& died) {
          trial.expect(died.pid() == trial.pid && !trial.completed, "WorkerDied says who died");
        }
      });
}

// What is called when the call is done: once, whatever the worker was doing when it died. Its
// result is a value, or the death.
TEST_F(PoolFaults, AWorkerWithACallThatHasACallback) {
  struct Told {
    std::mutex mutex;
    std::condition_variable changed;
    int values, deaths;
    void note(int& what) {
      const std::lock_guard guard(mutex);
      ++what;
      changed.notify_all();
    }
  } told{{}, {}, 0, 0};
  worker_case<AsyncResult<Wide>>(
      "apply, with a callback", 0, 2,
      [&](const PoolView& pool) {
        told.values = told.deaths = 0;
        auto result = pool.apply_async(run_flat, 0);
        result.then([&](const Wide&) { told.note(told.values); },
                    [&](const std::exception&) { told.note(told.deaths); });
        return result;
      },
      [&](const Trial& trial, AsyncResult<Wide>& result) {
        expect_value_or_death(trial, result, 0);
        std::unique_lock lock(told.mutex);
        const bool came = told.changed.wait_for(lock, std::chrono::seconds(10),
                                                [&] { return told.values + told.deaths != 0; });
        trial.expect(came, "who waits for it is called");
        trial.expect(told.values + told.deaths == 1, "once");
        trial.expect((told.values == 1) == result.successful(), "with what get() gives");
      });
}

// The sum of a chunk is given once it is whole; a chunk whose worker died is summed again.
TEST_F(PoolFaults, AWorkerWithAMapReduce) {
  for (const int retries : {0, 1}) {
    worker_case<AsyncResult<long>>(
        "map_reduce, retries " + std::to_string(retries), retries, retries == 0 ? 1 : 3,
        [](const PoolView& pool) {
          return pool.map_reduce_async(
              [](int item) {
                runs()->begun[item].fetch_add(1);
                return item;
              },
              std::vector<int>{0, 1, 2, 3, 4, 5}, std::plus<long>(), 1000L, 3);
        },
        [&](const Trial& trial, AsyncResult<long>& result) {
          for (int item = 0; item < 6; ++item) {
            trial.expect(times_begun(item) <= 2, "an item is run again once");
          }
          try {
            trial.expect(result.get() == 1015, "every item is in the sum, once");
          } catch (const WorkerDied& died) {
            trial.expect(retries == 0 && died.pid() == trial.pid && !trial.completed,
                         "WorkerDied when there are no retries");
          }
        });
  }
}

// A map of six items: in one chunk, in three, in six. Without retries a death costs at most the
// item that was being run, and the map's answer is that death; with them nothing is missing.
TEST_F(PoolFaults, AWorkerWithAMap) {
  struct Form {
    int retries;
    std::size_t chunk;
    std::size_t stride;
  };
  for (const Form form : {Form{0, 6, 1}, Form{1, 2, 3}, Form{0, 1, 7}}) {
    worker_case<AsyncResult<std::vector<Wide>>>(
        "map, chunks of " + std::to_string(form.chunk) + ", retries " +
            std::to_string(form.retries),
        form.retries, form.stride,
        [&](const PoolView& pool) {
          return pool.map_async(run_flat, std::vector<int>{0, 1, 2, 3, 4, 5}, form.chunk);
        },
        [&](const Trial& trial, AsyncResult<std::vector<Wide>>& result) {
          std::uint32_t again = 0;
          for (int item = 0; item < 6; ++item) {
            trial.expect(times_begun(item) <= 2, "an item is run again once");
            again += times_begun(item) > 1;
          }
          trial.expect(again <= static_cast<unsigned>(form.retries), "only the lost item is rerun");
          try {
            const std::vector<Wide> all = result.get();
            trial.expect(all.size() == 6, "every item has a result");
            for (int item = 0; item < 6; ++item) {
              trial.expect(is_whole(all[static_cast<std::size_t>(item)], item), "in input order");
              trial.expect(times_begun(item) >= 1, "a result comes from a run");
            }
          } catch (const WorkerDied& died) {
            trial.expect(form.retries == 0 && died.pid() == trial.pid && !trial.completed,
                         "WorkerDied when there are no retries");
          }
        });
  }
}

TEST_F(PoolFaults, AWorkerWithAMapOfBoxedResults) {
  worker_case<AsyncResult<std::vector<std::string>>>(
      "map, boxed", 1, 5,
      [](const PoolView& pool) {
        return pool.map_async(run_boxed, std::vector<int>{0, 1, 2}, 2);
      },
      [](const Trial& trial, AsyncResult<std::vector<std::string>>& result) {
        const std::vector<std::string> all = result.get();
        for (int item = 0; item < 3; ++item) {
          trial.expect(is_whole(all[static_cast<std::size_t>(item)], item), "whole, in order");
          trial.expect(times_begun(item) >= 1 && times_begun(item) <= 2, "run once, or again once");
        }
      });
}

// Returns when the supervisor's thread is done with all that it was called for, and has ended.
void settle_supervisor() {
  std::promise<void> done;
  const auto now = std::chrono::steady_clock::now();
  const auto id = Supervisor::instance().at(now, [&] { done.set_value(); });
  done.get_future().wait();
  Supervisor::instance().forget(id);
}

// The whole of recovery, in a real pool: the supervisor hears of the death, and the worker that
// replaces the dead one takes what is left.
TEST_F(PoolFaults, AWorkerIsReplaced) {
  std::optional<HeldPool> pool;
  std::optional<AsyncResult<std::vector<std::string>>> result;
  Contents before;
  FaultPlan plan;
  plan.name = "a worker of a real pool";
  plan.shared = [&] { return words_of(pool->shared()); };
  const auto end_pool = [&] {
    result.reset();
    pool.reset();
    settle_supervisor();
    tidy();
  };
  const auto begin_pool = [&] {
    pool.emplace();
    result.emplace(pool->view().map_async(run_boxed, std::vector<int>{0, 1, 2}, 2));
    pool->close();
  };
  plan.setup = [&] {
    end_pool();
    for (auto& each : runs()->begun) each.store(0);
    before = Contents::look();
    begin_pool();
  };
  plan.operation = [&] { work(pool->shared(), 0); };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();
    const pid_t worker = pool->kill_worker();
    result->wait();
    std::uint32_t again = 0;
    for (int item = 0; item < 3; ++item) again += runs()->begun[item].load() > 1;
    trial.expect(again == 0, "without retries nothing is run twice");
    try {
      const std::vector<std::string> all = result->get();
      for (int item = 0; item < 3; ++item) {
        trial.expect(is_whole(all[static_cast<std::size_t>(item)], item), "whole, in order");
      }
    } catch (const WorkerDied& died) {
      trial.expect(died.pid() == worker && died.signal() == SIGKILL, "WorkerDied says who died");
      trial.expect(!trial.completed, "what was completed has a result");
    }
    end_pool();
    expect_sound(trial);
    expect_same(trial, before);
  };
  begin_pool();  // what a process makes once
  pool->kill_worker();
  end_pool();
  kill_everywhere(plan, 37);
  end_pool();
}

}  // namespace
}  // namespace procession::faults
