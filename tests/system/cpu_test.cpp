#include "system/cpu.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "procession/errors.hpp"
#include "system_test.hpp"

namespace procession::detail {
namespace {

using CpuTest = SystemTest;

// A made-up /sys/fs/cgroup in a folder of its own.
class CgroupTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    std::string folder = (std::filesystem::temp_directory_path() / "cgroup_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    root_ = folder;
  }
  void TearDown() override {
    std::filesystem::remove_all(root_);
    SystemTest::TearDown();
  }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  std::optional<int> quota(const std::string& cgroups, const std::string& mounts) {
    return cgroup_cpu_quota(cgroups, mounts, root_);
  }

  const std::string v2_ = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  const std::string v1_ =
      "31 24 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

 private:
  std::string root_;
};

TEST_F(CgroupTest, NoQuotaWithoutCgroups) {
  EXPECT_EQ(quota("", ""), std::nullopt);
  EXPECT_EQ(quota("0::/a\n", v2_), std::nullopt);
  write("/sys/fs/cgroup/a/cpu.max", "max 100000");
  EXPECT_EQ(quota("0::/a\n", v2_), std::nullopt);
}

TEST_F(CgroupTest, AQuotaIsRoundedUpAndIsAtLeastOne) {
  write("/sys/fs/cgroup/a/cpu.max", "250000 100000");
  EXPECT_EQ(quota("0::/a\n", v2_), 3);
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000");
  EXPECT_EQ(quota("0::/a\n", v2_), 2);
  write("/sys/fs/cgroup/a/cpu.max", "1000 100000");
  EXPECT_EQ(quota("0::/a\n", v2_), 1);
}

TEST_F(CgroupTest, TheTightestQuotaOnTheWayUpCounts) {
  write("/sys/fs/cgroup/cpu.max", "800000 100000");
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
  write("/sys/fs/cgroup/a/b/c/cpu.max", "500000 100000");
  EXPECT_EQ(quota("0::/a/b/c\n", v2_), 2);
  EXPECT_EQ(quota("0::/\n", v2_), 8);
}

TEST_F(CgroupTest, AContainerSeesItsPartOfTheHierarchy) {
  const std::string part = "30 24 0:26 /docker/12 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  write("/sys/fs/cgroup/cpu.max", "300000 100000");
  write("/sys/fs/cgroup/x/cpu.max", "100000 100000");
  EXPECT_EQ(quota("0::/docker/12\n", part), 3);
  EXPECT_EQ(quota("0::/docker/12/x\n", part), 1);
  EXPECT_EQ(quota("0::/docker/123\n", part), 3);
  EXPECT_EQ(quota("0::/../other\n", v2_), 3);
}

TEST_F(CgroupTest, VersionOneIsReadFromTheCpuController) {
  write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000");
  write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(quota("3:cpuset:/z\n2:cpu,cpuacct:/a/b\n", v1_), 2);
  EXPECT_EQ(quota("3:cpuset:/a\n2:cpuacct:/a\n", v1_), std::nullopt);
}

TEST_F(CgroupTest, NonsenseIsNoQuota) {
  write("/sys/fs/cgroup/a/cpu.max", "much 0");
  write("/sys/fs/cgroup/cpu.max", "100000 0");
  EXPECT_EQ(quota("0::/a\nrubbish\n:\n", v2_ + "rubbish - \n - \n"), std::nullopt);
}

TEST_F(CpuTest, CountsAreSane) {
  EXPECT_GE(cpu_count(), 1);
  EXPECT_GE(usable_cpu_count(), 1);
  EXPECT_LE(usable_cpu_count(), static_cast<int>(get_affinity().size()));
}

TEST_F(CpuTest, AffinityIsSetAndLimitsWhatIsUsable) {
  const std::vector<int> all = get_affinity();
  ASSERT_FALSE(all.empty());
  TestChild child([&] {
    const std::vector<int> last{all.back()};
    set_affinity(last);
    return get_affinity() == last && usable_cpu_count() == 1 ? 0 : 1;
  });
  EXPECT_EQ(child.exitcode(), 0);
  Bytes stop;
  TestChild other([&] { return stop.receive(); });
  set_affinity(std::vector<int>{all.front()}, other.pid());
  EXPECT_EQ(get_affinity(other.pid()), std::vector<int>{all.front()});
  EXPECT_EQ(get_affinity(), all);
}

TEST_F(CpuTest, CpusThatDoNotExistAreRefused) {
  const std::vector<int> all = get_affinity();
  TestChild child([&] {
    const auto refused = [](const std::vector<int>& cpus) {
      try {
        set_affinity(cpus);
        return false;
      } catch (const SystemError&) {
        return true;
      }
    };
    return refused({100'000}) && refused({all.front(), 5000}) && refused({1 << 30}) ? 0 : 1;
  });
  EXPECT_EQ(child.exitcode(), 0);
  EXPECT_THROW(set_affinity({}), std::invalid_argument);
  EXPECT_THROW(set_affinity(std::vector<int>{-1}), std::invalid_argument);
}

}  // namespace
}  // namespace procession::detail
