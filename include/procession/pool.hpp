// A pool of worker processes.
//
//   mp::Pool pool(4);
//   for (int y : pool.map(square, {1, 2, 3, 4, 5})) std::cout << y << ' ';
//   auto later = pool.apply_async(parse, path);  // later.get()
//
// A worker that is killed, crashes or exits costs exactly the call that it was running: that call
// is run again (PoolOptions::retries) or throws WorkerDied, and the worker is replaced.
// Functions, arguments and results must be shippable. Every member may be called from any
// thread of the process that made the pool; in any other process: StateError.
#pragma once

#include <initializer_list>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "procession/async_result.hpp"
#include "procession/detail/map_input.hpp"
#include "procession/detail/pool_core.hpp"
#include "procession/detail/reduce_entry.hpp"
#include "procession/result_range.hpp"

namespace procession {

// The calls of a pool, with the options that they use: what Pool is, and Pool::with() gives.
class PoolView {
 public:
  // Runs f(arguments...) in a worker and waits. Throws what f throws, as its own type.
  template <class F, class... Args>
  auto apply(F&& f, Args&&... arguments) const {
    return apply_async(std::forward<F>(f), std::forward<Args>(arguments)...).get();
  }

  // The same without waiting; blocks only when max_pending calls are under way.
  template <class F, class... Args>
  auto apply_async(F&& f, Args&&... arguments) const {
    using Function = std::decay_t<F>;
    static_assert(detail::calls<Function&, detail::shipped_t<Args>...>,
                  "the function does not accept these arguments: they arrive as values");
    using R = std::decay_t<detail::call_result_t<Function&, detail::shipped_t<Args>...>>;
    check<Function, R>();
    (detail::assert_shippable<detail::shipped_t<Args>>(), ...);
    detail::BatchPlan plan =
        plan_for<R>(&detail::ApplyEntry<Function, detail::shipped_t<Args>...>::enter);
    detail::Writer writer("Pool::apply", detail::batch_prefix(1, 1, plan.result_stride));
    plan.payload = writer.size();
    const Function& function = f;
    detail::encode_callable(writer, function);
    (encode_argument(writer, arguments), ...);
    return AsyncResult<R>(core().submit(writer, plan, task_), &detail::OneResult<R>::collect);
  }

  // f for every item; the results in input order. The first failure, in input order, is thrown
  // when the chunks already running have ended; chunks not yet begun are dropped.
  // chunksize 0: so that every worker gets about four chunks. The items are copied to the
  // workers, but for those of an Array: the workers read that where it is, when they come to it.
  template <class F, class Range>
  auto map(F&& f, Range&& range, std::size_t chunksize = 0) const {
    return map_async(std::forward<F>(f), std::forward<Range>(range), chunksize).get();
  }
  template <class F, class T>
  auto map(F&& f, std::initializer_list<T> items, std::size_t chunksize = 0) const {
    return map_async(std::forward<F>(f), items, chunksize).get();
  }
  template <class F, class Range>
  auto map_async(F&& f, Range&& range, std::size_t chunksize = 0) const {
    return map_items<false>("Pool::map", std::forward<F>(f), range, chunksize);
  }
  template <class F, class T>
  auto map_async(F&& f, std::initializer_list<T> items, std::size_t chunksize = 0) const {
    return map_items<false>("Pool::map", std::forward<F>(f), items, chunksize);
  }

  // map over tuples (or pairs) of arguments.
  template <class F, class Range>
  auto starmap(F&& f, Range&& range, std::size_t chunksize = 0) const {
    return starmap_async(std::forward<F>(f), std::forward<Range>(range), chunksize).get();
  }
  template <class F, class Range>
  auto starmap_async(F&& f, Range&& range, std::size_t chunksize = 0) const {
    return map_items<true>("Pool::starmap", std::forward<F>(f), range, chunksize);
  }

  // starmap(add, {{1, 2}, {3, 4}}), for functions with one signature.
  template <class F, class Tuple = typename detail::ArgumentsOf<std::decay_t<F>>::type>
  auto starmap(F&& f, std::initializer_list<Tuple> items, std::size_t chunksize = 0) const {
    return starmap_async(std::forward<F>(f), items, chunksize).get();
  }
  template <class F, class Tuple = typename detail::ArgumentsOf<std::decay_t<F>>::type>
  auto starmap_async(F&& f, std::initializer_list<Tuple> items, std::size_t chunksize = 0) const {
    return map_items<true>("Pool::starmap", std::forward<F>(f), items, chunksize);
  }

  // combine(... combine(combine(init, f(first)), f(second)) ..., f(last)), grouped differently:
  // each chunk's results are combined in its worker, those of the chunks here, in input order. So
  // combine(a, b) must be associative, and need not be commutative; `init` is used once. The type
  // of init is that of the result, and f(item) must convert to it. Failures are as for map(). When
  // a worker dies the whole chunk that it had is run again, if the item that it died of has
  // retries left.
  template <class F, class Range, class Combine, class Init>
  auto map_reduce(F&& f, Range&& range, Combine&& combine, Init&& init,
                  std::size_t chunksize = 0) const {
    return reduce_items(std::forward<F>(f), range, std::forward<Combine>(combine),
                        std::forward<Init>(init), chunksize)
        .get();
  }
  template <class F, class T, class Combine, class Init>
  auto map_reduce(F&& f, std::initializer_list<T> items, Combine&& combine, Init&& init,
                  std::size_t chunksize = 0) const {
    return reduce_items(std::forward<F>(f), items, std::forward<Combine>(combine),
                        std::forward<Init>(init), chunksize)
        .get();
  }
  template <class F, class Range, class Combine, class Init>
  auto map_reduce_async(F&& f, Range&& range, Combine&& combine, Init&& init,
                        std::size_t chunksize = 0) const {
    return reduce_items(std::forward<F>(f), range, std::forward<Combine>(combine),
                        std::forward<Init>(init), chunksize);
  }

  // Results as they come: in input order, or as they are completed.
  template <class F, class Range>
  auto imap(F&& f, Range&& range, std::size_t chunksize = 1) const {
    return stream("Pool::imap", std::forward<F>(f), std::forward<Range>(range), chunksize, true);
  }
  template <class F, class T>
  auto imap(F&& f, std::initializer_list<T> items, std::size_t chunksize = 1) const {
    return imap(std::forward<F>(f), std::vector<T>(items), chunksize);
  }
  template <class F, class Range>
  auto imap_unordered(F&& f, Range&& range, std::size_t chunksize = 1) const {
    return stream("Pool::imap_unordered", std::forward<F>(f), std::forward<Range>(range), chunksize,
                  false);
  }
  template <class F, class T>
  auto imap_unordered(F&& f, std::initializer_list<T> items, std::size_t chunksize = 1) const {
    return imap_unordered(std::forward<F>(f), std::vector<T>(items), chunksize);
  }

 protected:
  PoolView(std::shared_ptr<detail::PoolCore> core, TaskOptions task)
      : core_(std::move(core)), task_(std::move(task)) {}
  [[nodiscard]] detail::PoolCore& core() const;  // StateError when moved from
  std::shared_ptr<detail::PoolCore> core_;
  TaskOptions task_;

 private:
  friend class Pool;

  template <class F, class R>
  static constexpr void check() {
    detail::assert_shippable_callable<F>();
    if constexpr (!std::is_void_v<R>) detail::assert_shippable<R>();
  }

  template <class R>
  static detail::BatchPlan plan_for(detail::ChunkEntry entry) {
    detail::BatchPlan plan;
    plan.entry = reinterpret_cast<const void*>(entry);
    plan.result_kind = detail::ResultOf<R>::kind;
    plan.result_stride = detail::ResultOf<R>::stride;
    return plan;
  }

  template <class Arg>
  static void encode_argument(detail::Writer& writer, const Arg& argument) {
    if constexpr (std::is_same_v<std::decay_t<Arg>, detail::shipped_t<Arg>> &&
                  !std::is_array_v<Arg>) {
      detail::encode(writer, argument);
    } else {
      detail::encode(writer, detail::shipped_t<Arg>(argument));
    }
  }

  [[nodiscard]] std::uint32_t chunk_for(std::size_t items, std::size_t chunksize) const {
    const std::size_t share = core().processes() * 4;
    std::size_t chunk = chunksize != 0 ? chunksize : (items + share - 1) / share;
    return static_cast<std::uint32_t>(
        std::max<std::size_t>(std::min(chunk, detail::checked_items(items) + std::size_t{0}), 1));
  }

  template <bool Spread, class F, class Range>
  auto map_items(std::string_view call, F&& f, Range& range, std::size_t chunksize) const {
    using Function = std::decay_t<F>;
    using Item = detail::shipped_t<std::ranges::range_value_t<Range>>;
    using R = std::decay_t<typename detail::MapResult<Function, Item, Spread>::type>;
    using All = detail::AllResults<R>;
    check<Function, R>();
    detail::assert_shippable<Item>();
    detail::BatchPlan plan = plan_for<R>(&detail::MapEntry<Function, Item, Spread>::enter);
    plan.stop_on_error = true;
    detail::Writer writer(call, sizeof(detail::Batch));
    plan.payload = writer.size();
    const Function& function = f;
    detail::encode_callable(writer, function);
    plan.items = detail::write_items<Item>(writer, range, plan);
    plan.chunk_items = chunk_for(plan.items, chunksize);
    using Result = decltype(All::collect(std::declval<const detail::BatchState&>()));
    return AsyncResult<Result>(core().submit(writer, plan, task_), &All::collect);
  }

  template <class F, class Range, class Combine, class Init>
  auto reduce_items(F&& f, Range& range, Combine&& combine, Init&& init,
                    std::size_t chunksize) const {
    using Function = std::decay_t<F>;
    using Combined = std::decay_t<Combine>;
    using Item = detail::shipped_t<std::ranges::range_value_t<Range>>;
    using A = detail::shipped_t<Init>;
    using R = std::decay_t<typename detail::MapResult<Function, Item, false>::type>;
    static_assert(std::is_convertible_v<R, A>,
                  "map_reduce: what the function returns must convert to the type of init");
    static_assert(std::is_invocable_r_v<A, Combined&, A, A>,
                  "map_reduce: combine must take two values of init's type and return such a one");
    check<Function, A>();
    detail::assert_shippable_callable<Combined>();
    detail::assert_shippable<Item>();
    detail::BatchPlan plan = plan_for<A>(&detail::ReduceEntry<Function, Combined, Item, A>::enter);
    plan.stop_on_error = true;
    detail::Writer writer("Pool::map_reduce", sizeof(detail::Batch));
    plan.payload = writer.size();
    detail::encode_callable(writer, static_cast<const Function&>(f));
    detail::encode_callable(writer, static_cast<const Combined&>(combine));
    encode_argument(writer, init);
    plan.items = detail::write_items<Item>(writer, range, plan);
    plan.chunk_items = chunk_for(plan.items, chunksize);
    return AsyncResult<A>(core().submit(writer, plan, task_),
                          &detail::ReducedResult<Function, Combined, A>::collect);
  }

  template <class F, class Range>
  auto stream(std::string_view call, F&& f, Range&& range, std::size_t chunksize,
              bool ordered) const {
    using Function = std::decay_t<F>;
    using View = std::views::all_t<Range>;
    using Item = detail::shipped_t<std::ranges::range_value_t<View>>;
    using R = std::decay_t<typename detail::MapResult<Function, Item, false>::type>;
    check<Function, R>();
    detail::assert_shippable<Item>();
    const std::size_t chunk = std::max<std::size_t>(chunksize, 1);
    std::size_t total = 0;
    if constexpr (std::ranges::sized_range<Range>) total = std::ranges::size(range);
    struct Input {
      Function function;
      View view;
      std::optional<std::ranges::iterator_t<View>> at{};
    };
    auto input = std::make_shared<Input>(
        Input{std::forward<F>(f), std::views::all(std::forward<Range>(range))});
    detail::ChunkSource source = [=, core = core_, task = task_]() {
      return next_chunk<Function, Item, R>(call, *core, task, *input, chunk);
    };
    const std::size_t window = 4 * core().processes();
    return ResultRange<R>(
        std::make_unique<detail::ResultStream>(core_, std::move(source), window, ordered, total));
  }

  template <class Function, class Item, class R, class Input>
  static std::shared_ptr<detail::BatchState> next_chunk(std::string_view call,
                                                        detail::PoolCore& core,
                                                        const TaskOptions& task, Input& input,
                                                        std::size_t chunk) {
    if (!input.at) input.at = std::ranges::begin(input.view);
    if (*input.at == std::ranges::end(input.view)) return nullptr;
    detail::BatchPlan plan = plan_for<R>(&detail::MapEntry<Function, Item, false>::enter);
    plan.stamped = true;
    detail::Writer writer(
        call, detail::batch_prefix(std::min<std::size_t>(chunk, detail::small_batch + 1), 1,
                                   plan.result_stride));
    plan.payload = writer.size();
    detail::encode_callable(writer, std::as_const(input.function));
    detail::ItemWriter<Item> items(writer);
    std::uint32_t count = 0;
    for (; count < chunk && count < detail::most_chunk_items &&
           *input.at != std::ranges::end(input.view);
         ++*input.at, ++count) {
      auto&& each = **input.at;
      items.add_as(each);
    }
    items.finish(plan);
    plan.items = count;
    plan.chunk_items = count;
    return core.submit(writer, plan, task);
  }
};

class Pool : public PoolView {
 public:
  explicit Pool(std::size_t processes = 0) : Pool(PoolOptions{.processes = processes}) {}
  explicit Pool(PoolOptions options);
  // Runs the initializer once in each worker; if it throws, so does the first call.
  template <class F, class... Args>
  Pool(PoolOptions options, F initializer, Args... arguments)
      : PoolView(
            detail::PoolCore::make(std::move(options), detail::make_task(std::move(initializer),
                                                                         std::move(arguments)...)),
            {}) {}
  ~Pool();  // terminate(), then join()
  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&&) noexcept;
  Pool(const Pool&) = delete;

  // A view whose calls use those options; valid as long as the pool.
  [[nodiscard]] PoolView with(TaskOptions options) const { return {core_, std::move(options)}; }

  void close();      // no more calls: PoolClosed; those made are run
  void terminate();  // the workers are killed; waiting calls: PoolClosed
  void join();       // until all are done; StateError before close()
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> duration) {
    return core().join(detail::deadline_after(duration));
  }
  [[nodiscard]] std::size_t processes() const;
  [[nodiscard]] PoolStats stats() const;  // one look at every worker; never blocks
};

}  // namespace procession
