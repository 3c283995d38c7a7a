// Rows 21 and 22: what stays in use, after many tasks and when there is nothing to do.
#include <unistd.h>

#include <algorithm>
#include <procession/procession.hpp>
#include <string>
#include <vector>

#include "proc.hpp"
#include "rows.hpp"
#include "work.hpp"

namespace mp = procession;

namespace bench {

namespace {

struct Use {
  std::size_t resident = 0;  // of the parent and all its helpers and workers
  std::size_t descriptors = 0;
  std::size_t family = 0;
};

Use use_now() {
  Use use;
  for (pid_t pid : process_tree()) {
    use.resident += resident_bytes(pid);
    use.descriptors += descriptors_of(pid);
  }
  use.family = family_bytes();
  return use;
}

// In batches, as the results of all at once would be the growth.
void run_tasks(mp::Pool& pool, std::size_t count) {
  constexpr std::size_t batch = 10'000;
  std::vector<mp::AsyncResult<long>> results;
  for (std::size_t done = 0; done < count; done += batch) {
    results.clear();
    for (std::size_t i = 0; i < batch; ++i) {
      results.push_back(pool.apply_async(square, static_cast<long>(done + i)));
    }
    for (auto& result : results) keep(result.get());
  }
}

Row growth(const char* what, Unit unit, std::size_t before, std::size_t after, double allowed,
           std::string target) {
  Row row{.number = 21, .what = what, .unit = unit, .target = {false, allowed, std::move(target)}};
  row.ours.value = after > before ? static_cast<double>(after - before) : 0;
  std::string size = unit == Unit::Bytes ? " KiB" : "";
  std::size_t scale = unit == Unit::Bytes ? 1024 : 1;
  row.note = std::to_string(before / scale) + size + " after the first tenth, " +
             std::to_string(after / scale) + size + " at the end";
  return row;
}

Row absolute(const char* what, Unit unit, double value, double allowed, const char* target) {
  Row row{.number = 22, .what = what, .unit = unit, .target = {false, allowed, target}};
  row.ours.value = value;
  return row;
}

constexpr double mebibyte = 1 << 20;

}  // namespace

// Flat: within one per cent or 1 MiB, whichever is more, as the kernel counts pages lazily.
Rows many_tasks(const Settings& settings) {
  std::size_t count = settings.items(10'000'000);
  mp::Pool pool(2);
  run_tasks(pool, count / 10);
  Use early = use_now();
  run_tasks(pool, count - count / 10);
  Use late = use_now();
  double allowed = std::max(mebibyte, 0.01 * static_cast<double>(early.resident));
  std::string millions = settings.quick ? "1 M" : "10 M";
  return {growth((millions + " tasks: growth of resident memory").c_str(), Unit::Bytes,
                 early.resident, late.resident, allowed, "flat"),
          growth((millions + " tasks: growth of descriptors").c_str(), Unit::Count,
                 early.descriptors, late.descriptors, 0, "flat"),
          growth((millions + " tasks: growth of the family memory").c_str(), Unit::Bytes,
                 early.family, late.family, mebibyte, "flat")};
}

Rows idle_pool(const Settings&) {
  std::size_t threads = threads_of(::getpid());
  std::size_t descriptors = descriptors_of(::getpid());
  mp::Lock first;  // the family begins
  std::size_t touched = family_bytes();
  mp::Pool pool(2);
  keep(pool.apply(square, 2L));
  auto more = [](std::size_t now, std::size_t before) {
    return static_cast<double>(now) - static_cast<double>(before);
  };
  Row memory = absolute("shared memory of an empty family", Unit::Bytes,
                        static_cast<double>(touched), mebibyte, "<= 1 MiB");
  if (touched == 0) {
    memory.failed = true;
    memory.note = "failed: no descriptor of this process is the family's memfd";
  }
  return {absolute("idle Pool(2): threads it adds to the parent", Unit::Count,
                   more(threads_of(::getpid()), threads), 1, "<= 1"),
          absolute("idle Pool(2): descriptors it adds", Unit::Count,
                   more(descriptors_of(::getpid()), descriptors), 8, "<= 8"),
          memory};
}

}  // namespace bench
