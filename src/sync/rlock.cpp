#include "procession/rlock.hpp"

namespace procession {

RLock::RLock(const Name& name, OnOwnerDeath on_death)
    : HandleBase(
          detail::create_object(detail::ObjectKind::RLock, sizeof(detail::LockShared), name.text)) {
  shared().core.on_death =
      on_death == OnOwnerDeath::Release ? detail::OwnerDeath::Release : detail::OwnerDeath::Raise;
}

RLock RLock::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return RLock(object);
}

void RLock::lock() const {
  auto& [head, core] = shared();
  detail::rlock_acquire(core, head);
}

bool RLock::try_acquire() const {
  auto& [head, core] = shared();
  return detail::rlock_try_acquire(core, head);
}

bool RLock::acquire_until(detail::TimePoint deadline) const {
  auto& [head, core] = shared();
  return detail::rlock_acquire_until(core, head, deadline);
}

void RLock::release() const {
  auto& [head, core] = shared();
  detail::rlock_release(core, head);
}

bool RLock::locked() const { return detail::lock_is_taken(shared().core); }

bool RLock::recover() const {
  auto& [head, core] = shared();
  return detail::rlock_recover(core, head);
}

}  // namespace procession
