// Values of more than 8 bytes: a process killed in a store leaves the old value or the new one,
// for those who read, those who store, and in place.
#include "procession/value.hpp"

#include <unistd.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "family.hpp"
#include "procession/errors.hpp"
#include "sync/thread_table.hpp"

namespace procession::faults {
namespace {

using namespace detail;

template <std::size_t Bytes>
struct Block {
  std::array<unsigned char, Bytes> bytes;
  static Block of(int n) {
    Block block;
    block.bytes.fill(static_cast<unsigned char>(n));
    return block;
  }
  // 0: parts of several.
  [[nodiscard]] int number() const {
    for (const unsigned char byte : bytes) {
      if (byte != bytes[0]) return 0;
    }
    return bytes[0];
  }
};

template <class T>
class ValueFaults : public FamilyFaults {
 protected:
  void SetUp() override {
    FamilyFaults::SetUp();
    if (IsSkipped()) return;
    (void)this_thread();
  }
  void begin() {
    bury_the_dead();
    value_.emplace(T::of(1));
    value_->store(T::of(2));
  }
  // It is one of the two, for everybody, and goes on working.
  void expect_one_of(const Trial& trial, int before, int after) {
    const int found = value_->load().number();
    trial.expect(found == after || (found == before && !trial.completed), "old or new");
    trial.expect(value_->load().number() == found, "it stays so");
    trial.expect(value_->value().number() == found, "in place, too");
    for (int n = 5; n < 8; ++n) {
      value_->store(T::of(n));
      trial.expect(value_->load().number() == n, "the next store");
    }
    bury_the_dead();
    expect_sound(trial);
  }
  std::optional<Value<T>> value_;
};

using Blocks = ::testing::Types<Block<9>, Block<64>, Block<200>>;
struct BlockNames {
  template <class T>
  static std::string GetName(int) {
    return "Bytes" + std::to_string(sizeof(T));
  }
};
TYPED_TEST_SUITE(ValueFaults, Blocks, BlockNames);

TYPED_TEST(ValueFaults, Store) {
  FaultPlan plan;
  plan.name = "store of " + std::to_string(sizeof(TypeParam)) + " bytes";
  plan.setup = [&] { this->begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->value_->store(TypeParam::of(3)); };
  plan.survivors = [&](const Trial& trial) { this->expect_one_of(trial, 2, 3); };
  kill_everywhere(plan);
}

// The second finishes or forgets what the first, killed one had begun.
TYPED_TEST(ValueFaults, StoreAfterADeadOne) {
  FaultPlan plan;
  plan.name = "two stores of " + std::to_string(sizeof(TypeParam)) + " bytes";
  plan.setup = [&] { this->begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    this->value_->store(TypeParam::of(2));
    this->value_->store(TypeParam::of(3));
  };
  plan.survivors = [&](const Trial& trial) {
    this->value_->store(TypeParam::of(4));
    trial.expect(this->value_->load().number() == 4, "a store over it");
    this->expect_one_of(trial, 4, 4);
  };
  kill_everywhere(plan, 3);
}

TYPED_TEST(ValueFaults, LoadAndUseInPlace) {
  FaultPlan plan;
  plan.name = "load of " + std::to_string(sizeof(TypeParam)) + " bytes";
  plan.setup = [&] { this->begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] {
    if (this->value_->load().number() != 2 || this->value_->value().number() != 2) ::_exit(1);
  };
  plan.survivors = [&](const Trial& trial) { this->expect_one_of(trial, 2, 2); };
  kill_everywhere(plan);
}

// What was changed in the lock is for the next to judge: it is told.
TYPED_TEST(ValueFaults, WithLock) {
  FaultPlan plan;
  plan.name = "with_lock of " + std::to_string(sizeof(TypeParam)) + " bytes";
  plan.setup = [&] { this->begin(); };
  plan.prepare = [] { (void)this_thread(); };
  plan.operation = [&] { this->value_->with_lock([](TypeParam& at) { at = TypeParam::of(3); }); };
  plan.survivors = [&](const Trial& trial) {
    const auto look = [](TypeParam& at) { return at.number(); };
    int found = -1;
    try {
      found = this->value_->with_lock(look);
    } catch (const OwnerDied&) {
      trial.expect(!trial.completed, "it had ended");
      trial.expect(this->value_->get_lock().recover(), "it can be recovered");
      this->value_->with_lock([](TypeParam& at) { at = TypeParam::of(3); });
      this->value_->get_lock().release();
      found = this->value_->with_lock(look);
    }
    trial.expect(found == 3 || (found == 2 && !trial.completed), "before, after, or told");
    bury_the_dead();
    expect_sound(trial);
  };
  kill_everywhere(plan);
}

}  // namespace
}  // namespace procession::faults
