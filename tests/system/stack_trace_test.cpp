#include "system/stack_trace.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "system_test.hpp"

namespace procession::detail {
namespace {

using StackTraceTest = SystemTest;

std::atomic<int> turns = 0;  // what keeps calls from becoming jumps

struct Counted {
  ~Counted() { ++turns; }
};

[[gnu::noinline, gnu::noipa]] void throwing_function(int number) {
  if (number >= 0) throw std::runtime_error("number " + std::to_string(number));
  ++turns;
}
[[gnu::noinline, gnu::noipa]] void middle_function(int number) {
  const Counted counted;
  throwing_function(number);
  ++turns;
}
[[gnu::noinline, gnu::noipa]] void outer_function(int number) {
  const Counted counted;
  middle_function(number);
  ++turns;
}
[[gnu::noinline, gnu::noipa]] int element_of(const std::vector<int>& numbers, std::size_t index) {
  const int element = numbers.at(index);
  ++turns;
  return element;
}
[[gnu::noinline, gnu::noipa]] void catching_function() {
  try {
    outer_function(1);
  } catch (const std::runtime_error&) {
    ++turns;
  }
}
[[gnu::noinline, gnu::noipa]] void rethrowing_function() {
  try {
    outer_function(1);
  } catch (const std::runtime_error&) {
    throw;
  }
}

template <class F>
void watch(F body, ThrowSite& site) {
  call_watching_throws([](void* argument) { (*static_cast<F*>(argument))(); }, &body, site);
}

template <class Exception, class F>
std::string trace_of(F body) {
  ThrowSite site;
  EXPECT_THROW(watch(body, site), Exception);
  EXPECT_GT(site.size, 0U);
  return render_stack(site.stack(), ThrowSite::max_frames);
}

bool in_order(const std::string& text, const std::vector<std::string>& parts) {
  std::size_t at = 0;
  for (const std::string& part : parts) {
    at = text.find(part, at);
    if (at == std::string::npos) return false;
  }
  return true;
}

TEST_F(StackTraceTest, ShowsTheThrowingFunctionAndItsCallersInnermostFirst) {
  const std::string trace = trace_of<std::runtime_error>([] { outer_function(1); });
  EXPECT_TRUE(
      in_order(trace, {"throwing_function(int)", "middle_function(int)", "outer_function(int)"}))
      << trace;
  EXPECT_NE(trace.find("stack_trace_test.cpp:"), std::string::npos) << trace;
}

TEST_F(StackTraceTest, BeginsAtTheThrowAndEndsAtTheWatcher) {
  const std::string trace = trace_of<std::runtime_error>([] { outer_function(1); });
  const std::string first = trace.substr(0, trace.find('\n'));
  EXPECT_NE(first.find("throwing_function"), std::string::npos) << trace;
  for (const char* machinery : {"__cxa_throw", "_Unwind_", "__gxx_personality", "__do_catch",
                                "call_watching_throws", "call_at", "testing::", "_start"}) {
    EXPECT_EQ(trace.find(machinery), std::string::npos) << trace;
  }
}

TEST_F(StackTraceTest, ShowsWhoCalledTheLibraryFunctionThatThrew) {
  const std::string trace = trace_of<std::out_of_range>([] { turns += element_of({1, 2, 3}, 7); });
  EXPECT_NE(trace.find("element_of("), std::string::npos) << trace;
}

TEST_F(StackTraceTest, TheExceptionPassesUnchanged) {
  ThrowSite site;
  const auto thrown = std::make_shared<int>(5);
  try {
    watch([&] { throw thrown; }, site);
    ADD_FAILURE();
  } catch (const std::shared_ptr<int>& caught) {
    EXPECT_EQ(caught, thrown);
  }
  EXPECT_GT(site.size, 0U);
}

TEST_F(StackTraceTest, RecordsThrowsOfPointersAndNumbers) {
  static int number = 0;
  ThrowSite site;
  EXPECT_THROW(watch([] { throw 5; }, site), int);
  EXPECT_GT(site.size, 0U);
  EXPECT_THROW(watch([] { throw &number; }, site), int*);
  EXPECT_GT(site.size, 0U);
}

TEST_F(StackTraceTest, NothingIsRecordedForWhatIsCaughtInside) {
  ThrowSite site;
  watch([] { catching_function(); }, site);
  EXPECT_EQ(site.size, 0U);
  watch([] { ++turns; }, site);
  EXPECT_EQ(site.size, 0U);
}

TEST_F(StackTraceTest, ARethrowCountsAsTheThrow) {
  const std::string trace = trace_of<std::runtime_error>([] { rethrowing_function(); });
  EXPECT_NE(trace.find("rethrowing_function"), std::string::npos) << trace;
  EXPECT_EQ(trace.find("__cxa_rethrow"), std::string::npos) << trace;
}

TEST_F(StackTraceTest, NestedCallsAllRecordTheSameThrow) {
  ThrowSite inner, outer;
  EXPECT_THROW(watch([&] { watch([] { outer_function(1); }, inner); }, outer), std::runtime_error);
  EXPECT_TRUE(in_order(render_stack(outer.stack(), 10), {"throwing_function", "outer_function"}));
  EXPECT_TRUE(in_order(render_stack(inner.stack(), 10), {"throwing_function", "outer_function"}));
}

TEST_F(StackTraceTest, ANestedCallThatIsHandledLeavesNoTraceInTheOuter) {
  ThrowSite inner, outer;
  watch(
      [&] {
        try {
          watch([] { outer_function(1); }, inner);
        } catch (const std::runtime_error&) {
          ++turns;
        }
      },
      outer);
  EXPECT_GT(inner.size, 0U);
  EXPECT_EQ(outer.size, 0U);
}

TEST_F(StackTraceTest, ALaterThrowReplacesOneThatWasHandledBetweenNestedCalls) {
  ThrowSite inner, outer;
  const auto body = [&] {
    try {
      watch([] { outer_function(1); }, inner);
    } catch (const std::runtime_error&) {
      ++turns;
    }
    (void)element_of({}, 1);
  };
  EXPECT_THROW(watch(body, outer), std::out_of_range);
  const std::string trace = render_stack(outer.stack(), 64);
  EXPECT_NE(trace.find("element_of("), std::string::npos) << trace;
  EXPECT_EQ(trace.find("outer_function"), std::string::npos) << trace;
}

void watch_nested(int levels, std::vector<ThrowSite>& sites) {
  if (levels == 0) return outer_function(1);
  const auto site = static_cast<std::size_t>(levels - 1);
  watch([&] { watch_nested(levels - 1, sites); }, sites[site]);
}

TEST_F(StackTraceTest, NestingBeyondTheLimitIsHarmless) {
  std::vector<ThrowSite> sites(7);
  EXPECT_THROW(watch_nested(7, sites), std::runtime_error);
  EXPECT_EQ(sites[0].size, 0U);
  for (std::size_t i = 7 - ThrowSite::max_nesting; i < 7; ++i) EXPECT_GT(sites[i].size, 0U) << i;
  EXPECT_THROW(watch_nested(1, sites), std::runtime_error);
  EXPECT_GT(sites[0].size, 0U);
}

TEST_F(StackTraceTest, ThreadsWatchTheirOwnThrows) {
  std::vector<std::thread> threads;
  std::vector<ThrowSite> sites(4);
  for (ThrowSite& site : sites) {
    threads.emplace_back([&site] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_THROW(watch([] { outer_function(1); }, site), std::runtime_error);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const ThrowSite& site : sites) {
    EXPECT_NE(render_stack(site.stack(), 64).find("throwing_function"), std::string::npos);
  }
}

TEST_F(StackTraceTest, ACancelledThreadUnwindsThrough) {
  static ThrowSite site;
  pthread_t thread;
  const auto body = [](void*) -> void* {
    watch([] { ::pthread_exit(&site); }, site);
    return nullptr;
  };
  ASSERT_EQ(::pthread_create(&thread, nullptr, body, nullptr), 0);
  void* result = nullptr;
  ASSERT_EQ(::pthread_join(thread, &result), 0);
  EXPECT_EQ(result, &site);
  EXPECT_EQ(site.size, 0U);
}

[[gnu::noinline, gnu::noipa]] void recurse(int depth) {
  throwing_function(depth > 0 ? -1 : 0);
  if (depth > 0) recurse(depth - 1);
  ++turns;
}

TEST_F(StackTraceTest, DeepStacksKeepTheirInnermostFrames) {
  ThrowSite site;
  EXPECT_THROW(watch([] { recurse(1000); }, site), std::runtime_error);
  EXPECT_EQ(site.size, ThrowSite::max_frames);
  const std::string trace = render_stack(site.stack(), 3);
  EXPECT_TRUE(in_order(trace, {"throwing_function", "recurse", "recurse"})) << trace;
  EXPECT_EQ(std::count(trace.begin(), trace.end(), '\n'), 3);
}

TEST_F(StackTraceTest, NoFramesMakeNoText) {
  EXPECT_EQ(render_stack({}, 10), "");
  EXPECT_EQ(render_stack(ThrowSite{}.stack(), 0), "");
}

}  // namespace
}  // namespace procession::detail
