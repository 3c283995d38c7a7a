// Addresses of code as (module, offset), and the family's table of modules.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "procession/detail/trampoline.hpp"
#include "procession/errors.hpp"
#include "ship/module_table.hpp"
#include "ship/modules.hpp"
#include "ship/round_trip.hpp"

namespace procession::detail {
namespace {

int function_of_the_test() { return 42; }
int variable_of_the_test = 0;

const void* address_of(int (*function)()) { return reinterpret_cast<const void*>(function); }

// A library of glibc that this program has not loaded, and a symbol in it.
struct Library {
  const char* name;
  const char* symbol;
  bool loaded() const {
    void* handle = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    if (handle != nullptr) ::dlclose(handle);
    return handle != nullptr;
  }
};
constexpr Library thread_db{"libthread_db.so.1", "td_ta_new"};
constexpr Library broken_locale{"libBrokenLocale.so.1", "__ctype_get_mb_cur_max"};

TEST(Modules, AddressesAreOffsetsInTheirModuleAndComeBack) {
  for (const void* address :
       {address_of(&function_of_the_test), static_cast<const void*>(&variable_of_the_test),
        reinterpret_cast<const void*>(&std::strlen), reinterpret_cast<const void*>(&::dlopen)}) {
    const CodeAddress code = code_address(address);
    EXPECT_EQ(resolve(code), address);
    Dl_info info{};
    ASSERT_NE(::dladdr(address, &info), 0);
    EXPECT_EQ(code.offset, static_cast<std::uint64_t>(static_cast<const char*>(address) -
                                                      static_cast<const char*>(info.dli_fbase)));
    EXPECT_NE(std::string(info.dli_fname).find(module_name(code.module)), std::string::npos);
  }
}

TEST(Modules, OneModuleHasOneNumber) {
  EXPECT_EQ(code_address(address_of(&function_of_the_test)).module,
            code_address(&variable_of_the_test).module);
  EXPECT_NE(code_address(address_of(&function_of_the_test)).module,
            code_address(reinterpret_cast<const void*>(&::dlopen)).module);
}

TEST(Modules, AnAddressInNoModuleIsRefused) {
  int on_the_stack = 0;
  EXPECT_THROW(static_cast<void>(code_address(&on_the_stack)), NotShippable);
  EXPECT_THROW(static_cast<void>(code_address(nullptr)), NotShippable);
}

TEST(Modules, UnknownNumbersAndOffsetsResolveToNothing) {
  const CodeAddress here = code_address(address_of(&function_of_the_test));
  EXPECT_EQ(resolve({12345678, 0}), nullptr);
  EXPECT_EQ(resolve({here.module, ~std::uint64_t{0} / 2}), nullptr);
  EXPECT_EQ(module_name(12345678), "?");
}

TEST(Modules, EveryLoadedModuleIsInTheSet) {
  const LoadedSet set = loaded_modules();
  EXPECT_LE(set.size(), module_count());
  EXPECT_NO_THROW(require_module(code_address(address_of(&function_of_the_test)), set, "Test"));
}

// The table as a child leaves it: it loads a library that the parent does not have.
CodeAddress load_in_child(const Library& library) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    void* handle = ::dlopen(library.name, RTLD_LAZY);
    CodeAddress code{};
    if (handle != nullptr) code = code_address(::dlsym(handle, library.symbol));
    const bool written = ::write(ends[1], &code, sizeof code) == sizeof code;
    ::_exit(written ? 0 : 1);
  }
  CodeAddress code{};
  EXPECT_EQ(::read(ends[0], &code, sizeof code), static_cast<ssize_t>(sizeof code));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(ends[0]);
  ::close(ends[1]);
  return code;
}

TEST(Modules, ALibraryThatOnlyAnotherProcessHasIsNamedAndFoundOnceLoaded) {
  if (thread_db.loaded()) GTEST_SKIP() << "already loaded";
  const CodeAddress there = load_in_child(thread_db);
  EXPECT_EQ(module_name(there.module), thread_db.name);
  EXPECT_EQ(resolve(there), nullptr);
  try {
    require_module(there, loaded_modules(), "Pool::apply");
    ADD_FAILURE() << "not refused";
  } catch (const NotShippable& error) {
    EXPECT_STREQ(error.what(),
                 "Pool::apply: the callable lives in libthread_db.so.1, which the other process "
                 "has not loaded; load it before the fork server starts, or use "
                 "StartMethod::Fork");
  }
  void* handle = ::dlopen(thread_db.name, RTLD_LAZY);
  ASSERT_NE(handle, nullptr);
  EXPECT_EQ(resolve(there), ::dlsym(handle, thread_db.symbol));
  EXPECT_NO_THROW(require_module(there, loaded_modules(), "Pool::apply"));
  ::dlclose(handle);
}

TEST(Modules, AModuleWhoseCodeWasSentStaysLoaded) {
  if (broken_locale.loaded()) GTEST_SKIP() << "already loaded";
  void* handle = ::dlopen(broken_locale.name, RTLD_LAZY);
  ASSERT_NE(handle, nullptr);
  static_cast<void>(loaded_modules());
  ::dlclose(handle);
  EXPECT_FALSE(broken_locale.loaded()) << "to be listed is not to be kept";
  handle = ::dlopen(broken_locale.name, RTLD_LAZY);
  ASSERT_NE(handle, nullptr);
  void* function = ::dlsym(handle, broken_locale.symbol);
  const CodeAddress code = code_address(function);
  ::dlclose(handle);
  EXPECT_TRUE(broken_locale.loaded());
  EXPECT_EQ(resolve(code), function);
}

TEST(Modules, AMessageKnowsWhatItsReceiverMustHaveLoaded) {
  Writer writer("Queue::put");
  encode(writer, &function_of_the_test);
  EXPECT_NO_THROW(require_modules(writer, loaded_modules()));
  EXPECT_THROW(require_modules(writer, LoadedSet()), NotShippable);
  const Message message(writer);
}

TEST(Modules, ThreadsThatAskAtOnceGetTheSameNumbers) {
  std::vector<std::thread> threads;
  std::vector<std::uint32_t> numbers(4);
  for (auto& number : numbers) {
    threads.emplace_back([&number] {
      for (int i = 0; i < 1000; ++i) {
        number = code_address(address_of(&function_of_the_test)).module;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 1U);
}

ModuleEntry made_up(std::uint32_t number) {
  ModuleEntry entry{};
  std::memcpy(entry.id.data(), "made up", 7);
  std::memcpy(entry.id.data() + 8, &number, sizeof number);
  std::memcpy(entry.name, "made up", 8);
  return entry;
}

// Four processes add overlapping sets at once; nothing may be lost, doubled or renumbered.
TEST(Modules, ProcessesThatAddAtOnceAgreeOnTheTable) {
  const std::size_t before = module_count();
  std::vector<pid_t> children;
  for (std::uint32_t start = 0; start < 4; ++start) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::uint32_t i = start; i < start + 40; i += 2) {
        const ModuleEntry entries[] = {made_up(i), made_up(i + 1)};
        add_modules(entries);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(module_count(), before + 43);
  std::set<std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < 43; ++i) {
    const auto number = find_module(made_up(i).id);
    ASSERT_TRUE(number.has_value()) << i;
    EXPECT_EQ(module_entry(*number)->id, made_up(i).id);
    numbers.insert(*number);
  }
  EXPECT_EQ(numbers.size(), 43U);
  EXPECT_EQ(*numbers.rbegin(), before + 42);
}

}  // namespace
}  // namespace procession::detail
