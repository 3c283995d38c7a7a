#include "sync/lock_report.hpp"

#include <spdlog/logger.h>

#include <string>
#include <utility>

#include "procession/errors.hpp"
#include "procession/log.hpp"
#include "sync/lock_core.hpp"

namespace procession::detail {
namespace {

struct Who {
  pid_t pid = 0;
  std::string process_name;
};

Who who_is(std::uint64_t word) {
  const Owner owner = Owner::from(word & owner_bits);
  const ThreadSlot& slot = thread_slot(owner.slot);
  // A slot whose occupant a lock names is hardly ever reused; if it is, nobody knows any more.
  if (slot.occupancy.load(std::memory_order_acquire) != owner.generation) return {};
  return {slot.pid.load(std::memory_order_relaxed), slot.process_name};
}

std::string text_of(std::uint64_t word) {
  const Who who = who_is(word);
  return process_text(who.process_name, who.pid);
}

}  // namespace

void throw_owner_died(std::uint64_t word, const Object& named) {
  Who who = who_is(word);
  throw OwnerDied(who.pid, std::move(who.process_name), named.name);
}

void throw_self_deadlock(const CallingThread& me, const Object& named) {
  WaitEdge edge;
  edge.pid = edge.held_by = me.slot->pid.load(std::memory_order_relaxed);
  edge.process_name = edge.holder_name = me.slot->process_name;
  edge.waits_for = named.name;
  throw DeadlockError({edge});
}

void throw_not_held(std::uint64_t word, const Object& named) {
  const std::string what = "release() of " + object_text(named.name) + ", which nobody holds";
  if (word == 0) throw StateError(what + "; acquire it first");
  throw StateError(what + " since " + text_of(word) + " died with it; call recover() first");
}

void throw_not_yours(std::uint64_t word, const Object& named) {
  const Who who = who_is(word);
  const std::string holder = who.pid == this_thread().slot->pid.load(std::memory_order_relaxed)
                                 ? "another thread of this process"
                                 : process_text(who.process_name, who.pid);
  throw StateError("release() of " + object_text(named.name) + ", which " + holder +
                   " holds; only the thread that has acquired it may release it");
}

void throw_no_share(const Object& named) {
  throw StateError("unlock_shared() of " + object_text(named.name) +
                   " by a thread that has no share of it; call lock_shared() first, in the same "
                   "thread");
}

void throw_too_deep(const Object& named) {
  throw StateError("acquire() of " + object_text(named.name) +
                   " by a thread that holds it as often as can be counted; release it as often as "
                   "it is acquired");
}

void log_passed_on(std::uint64_t word, const Object& named) {
  get_logger()->warn("{} died while it held {}; the lock was passed on", text_of(word),
                     object_text(named.name));
}

}  // namespace procession::detail
