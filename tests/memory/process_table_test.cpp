// The table of processes: what a program's own forks leave there.
#include "memory/process_table.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "memory/family.hpp"
#include "memory/sweep.hpp"
#include "support/fixture.hpp"

namespace procession::detail {
namespace {

using test_support::ChildStatus;
using test_support::run_child;

std::uint32_t members() {
  std::uint32_t count = 0;
  for (std::uint32_t i = 1; i < slot_limit(); ++i) {
    count += SlotWord::from(slot_at(i).state.load()).state != SlotState::Free;
  }
  return count;
}

TEST(ProcessTableTest, AProgramThatForksByItselfLeavesNoSlots) {
  ensure_family();
  const std::uint32_t before = members();
  for (int i = 0; i < 300; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ASSERT_GT(child, 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  }
  sweep_dead_processes();
  EXPECT_EQ(members(), before);
  EXPECT_EQ(slot_limit(), ProcessTable::first_chunk + 1) << "the table has grown";
}

TEST(ProcessTableTest, AChildOfAPlainForkIsAMember) {
  ensure_family();
  EXPECT_EQ(run_child([] {
              const pid_t child = ::fork();
              if (child == 0) {
                EXPECT_TRUE(same_member(self_index(), generation_of(self_index())));
                ::_exit(::testing::Test::HasFailure() ? 1 : 0);
              }
              int status = -1;
              ::waitpid(child, &status, 0);
              EXPECT_EQ(status, 0);
            }),
            (ChildStatus{0, 0}));
}

// As where RLIMIT_NPROC or a cgroup allows no more processes.
bool refuse_forks() {
  std::array<sock_filter, 5> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(ProcessTableTest, AForkThatFailsLeavesNoSlot) {
  constexpr int no_filters = 77;
  const ChildStatus end = run_child([] {
    ensure_family();
    const std::uint32_t before = members();
    if (!refuse_forks()) ::_exit(no_filters);
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(::fork(), -1);
      ASSERT_EQ(errno, EAGAIN);
    }
    EXPECT_EQ(members(), before);
  });
  if (end.code == no_filters) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(end, (ChildStatus{0, 0}));
}

}  // namespace
}  // namespace procession::detail
