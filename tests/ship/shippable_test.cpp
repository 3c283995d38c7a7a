// Which types may travel, decided at compile time.
#include <gtest/gtest.h>

#include <any>
#include <atomic>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <span>
#include <thread>
#include <valarray>

#include "procession/bind_front.hpp"
#include "procession/detail/codec.hpp"
#include "ship/test_handle.hpp"

namespace procession::detail {
namespace {

struct Plain {
  int a;
  double b[3];
  char c;
};
struct HasPointer {
  long a;
  int* b;
};
struct DeepPointer {
  Plain plain;
  HasPointer pointers[2];
};
struct FirstOfTwo {
  HasPointer inner;
};
struct HasFunction {
  int (*function)(int);
  long a;
};
struct HasReference {
  long& a;
};
struct HasConstReference {
  const int& a;
};
struct NamedReference {
  std::string name;
  const int& a;
};
struct Constants {
  const long a;
  const double b;
};
class NeedsValue {
 public:
  explicit NeedsValue(long* p) : pointer_(p) {}

 private:
  long* pointer_;
};
struct BehindOther {
  int* pointer;
  long array[3];
  NeedsValue value;
};
struct ArrayBeforeOther {
  long array[3];
  std::string text;
  NeedsValue values[2];
  NeedsValue value;
};
struct Wide {
  long a[100];
  long b[300];
};
union Either {
  long number;
  const char* text;
};
struct HasEither {
  Either either;
};
struct Mixed {
  std::string name;
  HasPointer pointer;
};
struct Extends : Plain {
  std::string more;
};
struct Names : std::vector<std::string> {};
class Opaque {
 public:
  explicit Opaque(std::string text) : text_(std::move(text)) {}

 private:
  std::string text_;
};
struct Abstract {
  virtual ~Abstract() = default;
  virtual void run() = 0;
};
template <class... T>
constexpr bool all_values = (shippable_value<T> && ...);
template <class... T>
constexpr bool no_values = (!shippable_value<T> && ...);

TEST(Shippable, PointerMembersAreFoundAtCompileTime) {
  static_assert(shape_of<Plain> == Shape::Bytes);
  static_assert(no_values<HasConstReference, NamedReference, HasPointer, DeepPointer, FirstOfTwo,
                          HasReference, Mixed, std::vector<HasPointer>, std::array<FirstOfTwo, 2>>);
  static_assert(all_values<HasFunction>, "function pointers travel, but not as bytes");
  static_assert(shape_of<HasFunction> == Shape::Aggregate);
  static_assert(bytes_kind<FirstOfTwo> == BytesKind::No);
  static_assert(no_values<BehindOther>);
  static_assert(all_values<Constants>);
  static_assert(field_count<BehindOther> == 3 && field_count<ArrayBeforeOther> == 4);
  static_assert(shape_of<Wide> == Shape::Scanned, "too wide to be seen");
  static_assert(shape_of<Either> == Shape::Scanned && shape_of<HasEither> == Shape::Scanned);
}

TEST(Shippable, PointersAndReferencesAreNoValues) {
  static_assert(no_values<int*, void*, const char*, int&, const int, void, int[], int()>);
  static_assert(no_values<std::vector<int*>, std::map<int, char*>, std::optional<int*>,
                          std::tuple<int, int*>, std::array<int*, 2>, std::pair<int&, int>,
                          std::variant<int, int*>, std::unique_ptr<int*>>);
}

TEST(Shippable, TypesOfTheLibraryThatBelongToOneProcessAreNoValues) {
  static_assert(no_values<std::function<void()>, std::thread, std::mutex, std::atomic<int>,
                          std::ifstream, std::any, std::future<int>, std::promise<int>,
                          std::exception_ptr, std::queue<int>>);
  static_assert(no_values<std::string_view, std::span<int>, std::reference_wrapper<int>,
                          std::initializer_list<int>, std::vector<std::string_view>>);
  static_assert(no_values<std::unique_ptr<int[]>, std::shared_ptr<int[]>, std::shared_ptr<void>,
                          std::unique_ptr<int, void (*)(int*)>, std::weak_ptr<int>>);
}

TEST(Shippable, ClassesThatCannotBeTakenApartNeedSerialize) {
  static_assert(no_values<Opaque, Extends, Names, Abstract, std::unique_ptr<Abstract>,
                          std::shared_ptr<Abstract>>);
}

TEST(Shippable, ContainersWithStatefulFunctionsAreNoValues) {
  static_assert(no_values<std::map<int, int, bool (*)(int, int)>,
                          std::set<int, std::function<bool(int, int)>>>);
}

TEST(Shippable, ArgumentsDecayAndCharactersBecomeStrings) {
  static_assert(std::is_same_v<shipped_t<const char(&)[4]>, std::string>);
  static_assert(std::is_same_v<shipped_t<const char*>, std::string>);
  static_assert(std::is_same_v<shipped_t<std::string_view>, std::string>);
  static_assert(std::is_same_v<shipped_t<const int&>, int>);
  static_assert(std::is_same_v<shipped_t<int (&)(int)>, int (*)(int)>);
}

TEST(Shippable, CallablesAreDecidedByTheirType) {
  int local = 0;
  const auto reference = [&local] { return local; };
  const auto move_only = [p = std::unique_ptr<int>()] { return p == nullptr; };
  static_assert(shippable_callable<int (*)(int)> && shippable_callable<void (Plain::*)()>);
  static_assert(shippable_callable<std::remove_const_t<decltype(reference)>>,
                "what it captured is known when it is sent");
  static_assert(!shippable_callable<std::remove_const_t<decltype(move_only)>>);
  static_assert(!shippable_callable<std::function<int()>> && !shippable_callable<int>);
  using Bound = decltype(procession::bind_front(std::plus<>(), 1));
  using Unshippable = decltype(procession::bind_front(std::plus<>(), std::declval<int*>()));
  static_assert(shippable_callable<Bound> && !shippable_callable<Unshippable>);
  static_cast<void>(reference);
  static_cast<void>(move_only);
}

TEST(Shippable, HandlesAreRecognised) {
  static_assert(Handle<TestHandle> && shape_of<TestHandle> == Shape::Handle);
  static_assert(!Handle<std::string> && !Handle<int>);
}

TEST(TypeName, IsTheNameInTheSource) {
  EXPECT_EQ(type_name<int>(), "int");
  EXPECT_NE(type_name<Plain>().find("Plain"), std::string_view::npos);
  EXPECT_TRUE(is_std<std::vector<Plain>> && !is_std<Names>);
  const auto lambda = [](int) {};
  const auto changing = [x = 1]() mutable { return ++x; };
  EXPECT_TRUE(is_closure<std::remove_const_t<decltype(lambda)>>) << type_name<decltype(lambda)>();
  EXPECT_TRUE(is_closure<std::remove_const_t<decltype(changing)>>);
  EXPECT_FALSE(is_closure<Opaque> || is_closure<std::function<void()>>);
  static_cast<void>(changing);
}

}  // namespace
}  // namespace procession::detail
