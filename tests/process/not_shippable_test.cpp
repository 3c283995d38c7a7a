// What cannot travel is refused at start(), by name, and without a process made.

#include <string>
#include <vector>

#include "process/process_fixture.hpp"

namespace procession::process_test {
namespace {

// Refused by these, and fine with Fork.
class ProcessNotShippable : public EachMethod {
 protected:
  template <class... Parts>
  void expect_refused(const std::vector<std::string>& words, Parts&&... parts) {
    ProcessOptions named = options();
    named.name = "reader";
    Process process(named, std::forward<Parts>(parts)...);
    expect_error<NotShippable>([&] { process.start(); }, words);
    EXPECT_EQ(process.state(), ProcessState::New);
    EXPECT_EQ(process.pid(), 0);
    EXPECT_TRUE(active_children().empty());
  }
  template <class... Parts>
  void expect_fine_with_fork(int code, Parts&&... parts) {
    Process process({.start_method = StartMethod::Fork}, std::forward<Parts>(parts)...);
    EXPECT_EQ(run(process), code);
  }
};
INSTANTIATE_TEST_SUITE_P(Methods, ProcessNotShippable,
                         ::testing::Values(StartMethod::ForkServer, StartMethod::Spawn),
                         [](const auto& test) { return method_name(test.param); });

TEST_P(ProcessNotShippable, TheWordThatWasCapturedByReferenceIsCounted) {
  int local = 7;
  const long first = 1, second = 2;
  expect_refused({"Process", "word 2"},
                 [first, second, &local] { std::exit(static_cast<int>(first + second) + local); });
}

TEST_P(ProcessNotShippable, ACaptureByReference) {
  int local = 7;
  const auto target = [&local] { std::exit(local); };
  expect_refused({"Process", "word 0", "stack"}, target);
  expect_fine_with_fork(7, target);
}

TEST_P(ProcessNotShippable, ACaptureByReferenceOfAnObjectOnTheHeap) {
  const auto numbers = std::make_unique<std::vector<int>>(9);
  const auto target = [&all = *numbers] { std::exit(static_cast<int>(all.size())); };
  // The sanitizers' allocators have no heap that the kernel knows as one.
  const bool sanitized = test_support::under_asan || test_support::under_tsan;
  expect_refused({"Process", "word 0", sanitized ? "private memory" : "heap"}, target);
  expect_fine_with_fork(9, target);
}

TEST_P(ProcessNotShippable, AStringCapturedByValue) {
  const std::string shorter = "tiny";
  const std::string longer(1000, '.');
  const auto target = [shorter] { std::exit(static_cast<int>(shorter.size())); };
  expect_refused({"Process"}, target);
  expect_refused({"Process"}, [longer] { std::exit(static_cast<int>(longer.size() % 100)); });
  expect_fine_with_fork(4, target);
}

TEST_P(ProcessNotShippable, AVectorCapturedByValue) {
  const std::vector<int> numbers{1, 2, 3};
  const auto target = [numbers] { std::exit(numbers.at(2)); };
  expect_refused({"Process"}, target);
  expect_fine_with_fork(3, target);
}

TEST_P(ProcessNotShippable, ThisOfAMemberFunction) {
  struct Reader {
    int lines = 8;
    auto target() {
      return [this] { std::exit(lines); };
    }
  } reader;
  expect_refused({"Process", "word 0", "stack"}, reader.target());
  expect_fine_with_fork(8, reader.target());
}

TEST_P(ProcessNotShippable, APointerArgument) {
  int local = 6;
  const auto target = [](int* number) { std::exit(*number); };
  expect_refused({"int*"}, target, &local);
  expect_fine_with_fork(6, target, &local);
}

TEST_P(ProcessNotShippable, AnObjectNamedByPointer) {
  struct Reader {
    void read() { std::exit(5); }
  } reader;
  expect_refused({"Reader"}, &Reader::read, &reader);
  expect_fine_with_fork(5, &Reader::read, &reader);
}

TEST_P(ProcessNotShippable, AStdFunction) {
  const std::function<void()> target = [] { std::exit(3); };
  expect_refused({"function"}, target);
  expect_fine_with_fork(3, target);
}

TEST_P(ProcessNotShippable, SoTheProcessCanStillBeRefusedAgain) {
  int local = 7;
  Process process(options(), [&local] { std::exit(local); });
  expect_error<NotShippable>([&] { process.start(); });
  expect_error<NotShippable>([&] { process.start(); });  // and no StateError
}

}  // namespace
}  // namespace procession::process_test
