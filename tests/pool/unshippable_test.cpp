// What cannot travel is refused at the call, or fails that call alone.

#include <stdexcept>
#include <string>
#include <vector>

#include "pool/pool_fixture.hpp"
#include "procession/remote.hpp"

namespace procession::pool_test {
namespace {

TEST(PoolShipping, ACaptureByReferenceIsRefusedAtTheCall) {
  Pool pool(2);
  int local = 1;
  auto by_reference = [&local] { return ++local; };
  auto item_by_reference = [&local](int x) { return local + x; };
  thrown<NotShippable>([&] { pool.apply(by_reference); }, {"apply"});
  thrown<NotShippable>([&] { (void)pool.apply_async(by_reference); }, {"apply"});
  thrown<NotShippable>([&] { pool.map(item_by_reference, {1, 2}); }, {"map"});
  thrown<NotShippable>([&] { pool.imap(item_by_reference, {1, 2}).next(); }, {"imap"});
  EXPECT_EQ(local, 1);
  EXPECT_EQ(pool.apply(square, 2), 4);
}

TEST(PoolShipping, ACapturedStringIsRefusedAtTheCall) {
  Pool pool(2);
  const std::string text(100, 'x');
  thrown<NotShippable>([&] { pool.apply([text] { return text.size(); }); }, {"apply"});
  EXPECT_EQ(pool.apply(square, 2), 4);
}

struct Stubborn {
  int where = 0;  // 1: save throws, 2: load throws
  template <class Archive>
  void save(Archive& archive) const {
    if (where == 1) throw std::domain_error("cannot be written");
    archive(where);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(where);
    if (where == 2) throw std::domain_error("cannot be read");
  }
};

int where_of(Stubborn item) { return item.where; }
Stubborn stubborn(int where) { return Stubborn{where}; }

TEST(PoolShipping, AnArgumentThatCannotBeWrittenFailsThatCallAlone) {
  Pool pool(2);
  thrown<std::domain_error>([&] { pool.apply(where_of, Stubborn{1}); }, {"cannot be written"});
  thrown<std::domain_error>(
      [&] {
        pool.map(where_of, std::vector<Stubborn>{{0}, {1}});
      },
      {"cannot be written"});
  EXPECT_EQ(pool.apply(where_of, Stubborn{0}), 0);
}

TEST(PoolShipping, AnArgumentThatCannotBeReadFailsThatCallAlone) {
  Pool pool(2);
  const auto before = pool.apply(square, 2);
  thrown<std::domain_error>([&] { pool.apply(where_of, Stubborn{2}); }, {"cannot be read"});
  auto results = pool.imap(where_of, std::vector<Stubborn>{{0}, {2}, {0}}, 3);
  EXPECT_EQ(results.next(), 0);
  thrown<std::domain_error>([&] { results.next(); }, {"cannot be read"});
  EXPECT_EQ(results.next(), 0);
  EXPECT_EQ(before, 4);
}

TEST(PoolShipping, AResultThatCannotBeWrittenFailsThatCallAlone) {
  Pool pool(2);
  thrown<std::domain_error>([&] { pool.apply(stubborn, 1); }, {"cannot be written"});
  auto results = pool.imap(stubborn, std::vector<int>{0, 1, 0}, 3);
  EXPECT_EQ(results.next()->where, 0);
  thrown<std::domain_error>([&] { results.next(); }, {"cannot be written"});
  EXPECT_EQ(results.next()->where, 0);
  EXPECT_EQ(pool.stats().workers.size(), 2u);
}

TEST(PoolShipping, AResultThatCannotBeReadFailsThatCallAlone) {
  Pool pool(2);
  thrown<std::domain_error>([&] { pool.apply(stubborn, 2); }, {"cannot be read"});
  EXPECT_EQ(pool.apply(stubborn, 0).where, 0);
}

struct StubbornError : std::runtime_error {
  StubbornError() : std::runtime_error("stubborn") {}
  explicit StubbornError(int at) : std::runtime_error("stubborn"), where(at) {}
  int where = 0;
  template <class Archive>
  void save(Archive& archive) const {
    if (where == 1) throw std::domain_error("cannot be written");
    archive(where);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(where);
    if (where == 2) throw std::domain_error("cannot be read");
  }
};

TEST(PoolShipping, AnExceptionThatCannotTravelFailsThatCallAlone) {
  register_exception<StubbornError>();
  Pool pool(2);
  auto fail = [](int where) { throw StubbornError(where); };
  thrown<StubbornError>([&] { pool.apply(fail, 0); }, {"stubborn"});
  thrown<ProcessError>([&] { pool.apply(fail, 1); }, {"stubborn"});
  thrown<ProcessError>([&] { pool.apply(fail, 2); }, {"stubborn"});
  EXPECT_EQ(pool.apply(square, 2), 4);
}

}  // namespace
}  // namespace procession::pool_test
