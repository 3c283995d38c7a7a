// memory/references: who holds which object, when its holders are killed.
//
// After each death references of every object are counted one by one (expect_sound), and the
// object is there exactly while somebody holds it.
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "family.hpp"
#include "memory/family.hpp"
#include "memory/heap.hpp"
#include "memory/references.hpp"
#include "memory/sweep.hpp"
#include "support/child.hpp"

namespace procession::faults {
namespace {

using namespace detail;

using Body = std::function<void()>;

constexpr std::size_t object_bytes = sizeof(Object) + 64;
constexpr std::size_t block_bytes = 100;

Object* new_object() { return create_object(ObjectKind::Test, object_bytes, "an object"); }

// An object that only `block` holds, both made by this process.
struct Carried {
  Object* object = nullptr;
  void* block = nullptr;

  void make() {
    drop();
    object = new_object();
    block = allocate(block_bytes);
    carry_reference(block, object);
    release(object);
  }
  void drop() {
    if (block != nullptr && find_block(block) == block) free_block(block);
    block = nullptr;
  }
};

class ReferenceFaults : public FamilyFaults {
 protected:
  // The child's call when this process holds objects or has given them to `carried_`, and the
  // child's end undoes everything that it did.
  FaultReport run(const char* name, Body prepare, Body operation) {
    FaultPlan plan;
    plan.name = name;
    plan.shared = family_words;
    plan.setup = [&] {
      bury_the_dead();
      carried_.drop();
      tidy_heap();
      before_ = Contents::look();
      carried_.make();
    };
    plan.prepare = std::move(prepare);
    plan.operation = std::move(operation);
    plan.survivors = [&](const Trial& trial) {
      bury_the_dead();
      expect_sound(trial);
      // A block that was being freed may have let go of the object already.
      const bool in_use = find_block(carried_.block) == carried_.block;
      if (in_use && object_at(carried_.object) != nullptr) {
        expect_held(trial, 1);
        retain(carried_.object);
        expect_held(trial, 2);
        carried_.drop();
        expect_held(trial, 1);
        release(carried_.object);
      }
      carried_.drop();
      trial.expect(object_at(carried_.object) == nullptr, "the object goes with its last holder");
      expect_same(trial, before_);
      use_blocks(trial, object_bytes);
    };
    return kill_everywhere(plan);
  }

  void expect_held(const Trial& trial, std::size_t times) const {
    trial.expect(object_at(carried_.object) == carried_.object, "the object is alive while held");
    trial.expect(carried_.object->references == times && count_references(carried_.object) == times,
                 "references are " + std::to_string(times));
  }

  Contents before_;
  Carried carried_;
};

TEST_F(ReferenceFaults, CreatingTheFirstObjectOfAProcess) {
  run(
      "create, first", [] {}, [] { (void)new_object(); });
}

TEST_F(ReferenceFaults, CreatingAFurtherObject) {
  run(
      "create, further", [] { release(new_object()); }, [] { (void)new_object(); });
}

TEST_F(ReferenceFaults, TheFirstHandleOfAProcess) {
  run(
      "retain, first", [] {}, [&] { retain(carried_.object); });
}

TEST_F(ReferenceFaults, AFurtherHandleOfAProcess) {
  run(
      "retain, further", [&] { retain(carried_.object); }, [&] { retain(carried_.object); });
}

TEST_F(ReferenceFaults, TheLastHandleOfAProcess) {
  run(
      "release, last of the process", [&] { retain(carried_.object); },
      [&] { release(carried_.object); });
}

TEST_F(ReferenceFaults, TheLastHandleOfAll) {
  static Object* own;
  run(
      "release, last of all", [] { own = new_object(); }, [] { release(own); });
}

// The object's block lies in a slab of the survivor.
TEST_F(ReferenceFaults, TheLastHandleOfAllToAnObjectOfAnotherProcess) {
  const auto be_the_only_one = [&] {
    retain(carried_.object);
    deallocate(carried_.block);
  };
  run("release, last of all, of another", be_the_only_one, [&] { release(carried_.object); });
}

TEST_F(ReferenceFaults, LettingABlockCarryAHandle) {
  static void* block;
  const auto prepare = [&] {
    retain(carried_.object);
    block = allocate(block_bytes);
  };
  run("carry, first of a block", prepare, [&] { carry_reference(block, carried_.object); });
  run(
      "carry, second of a block",
      [&] {
        prepare();
        carry_reference(block, carried_.object);
      },
      [&] { carry_reference(block, carried_.object); });
  run(
      "carry, seventh of a block",
      [&] {
        prepare();
        for (int i = 0; i < 6; ++i) carry_reference(block, carried_.object);
      },
      [&] { carry_reference(block, carried_.object); });
}

TEST_F(ReferenceFaults, FreeingABlockThatCarriesHandles) {
  static void* block;
  for (const int handles : {1, 8}) {
    const std::string name = "free a block that carries " + std::to_string(handles);
    const auto prepare = [&, handles] {
      retain(carried_.object);
      block = allocate(block_bytes);
      for (int i = 0; i < handles; ++i) carry_reference(block, carried_.object);
      release(carried_.object);
    };
    run(name.c_str(), prepare, [] { deallocate(block); });
  }
}

// It was given to the child; with it goes the object.
TEST_F(ReferenceFaults, FreeingTheOnlyBlockThatCarriesAHandle) {
  run(
      "free the only block that carries it", [] {}, [&] { deallocate(carried_.block); });
}

// --- fork ----------------------------------------------------------------------------------

struct Grandchild {
  pid_t pid;
  std::uint32_t slot;  // 0: the family has refused it
};

void await_end(pid_t pid) {
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return;
  pollfd wait{pidfd, POLLIN, 0};
  ::poll(&wait, 1, -1);
  ::close(pidfd);
}

// A forked process holds what its parent held from its first moment on: the parent is killed
// while it forks, this process lets go of everything, and the grandchild still has it.
TEST_F(ReferenceFaults, AForkInheritsHandles) {
  constexpr std::size_t held = 3;
  std::optional<test_support::Pipe> arrived, leave;
  Object* objects[held] = {};
  Contents before;
  FaultPlan plan;
  plan.name = "fork with handles";
  plan.shared = family_words;
  const auto forget = [&] {
    leave.reset();
    arrived.reset();
    for (Object*& object : objects) {
      if (object != nullptr) release(object);
      object = nullptr;
    }
  };
  plan.setup = [&] {
    forget();
    bury_the_dead();
    tidy_heap();
    before = Contents::look();
    arrived.emplace();
    leave.emplace();
    for (Object*& object : objects) object = new_object();
  };
  plan.operation = [&] {
    if (::fork() != 0) return;
    arrived->send(Grandchild{::getpid(), self_index()});
    arrived->close_write();
    leave->close_write();
    (void)leave->receive<char>();
    ::_exit(0);
  };
  plan.survivors = [&](const Trial& trial) {
    bury_the_dead();  // while the grandchild may be joining
    arrived->close_write();
    const std::optional<Grandchild> grandchild = arrived->receive<Grandchild>();
    const bool member = grandchild && grandchild->slot != 0;
    trial.expect(!trial.completed || grandchild, "a whole fork is seen");
    expect_sound(trial);
    for (Object* const object : objects) {
      trial.expect(object->references == 1u + member, "this process and the grandchild hold it");
    }
    Object* watched[held];
    std::copy(std::begin(objects), std::end(objects), watched);
    for (Object*& object : objects) release(std::exchange(object, nullptr));
    for (Object* const object : watched) {
      trial.expect((object_at(object) != nullptr) == member, "alive while the grandchild holds it");
    }
    forget();
    if (grandchild) await_end(grandchild->pid);
    bury_the_dead();
    expect_sound(trial);
    expect_same(trial, before);
  };
  kill_everywhere(plan, 7);
  forget();
}

}  // namespace
}  // namespace procession::faults
