#include "procession/lock.hpp"

namespace procession {

Lock::Lock(const Name& name, OnOwnerDeath on_death)
    : HandleBase(
          detail::create_object(detail::ObjectKind::Lock, sizeof(detail::LockShared), name.text)) {
  shared().core.on_death =
      on_death == OnOwnerDeath::Release ? detail::OwnerDeath::Release : detail::OwnerDeath::Raise;
}

Lock Lock::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return Lock(object);
}

void Lock::lock() const {
  auto& [head, core] = shared();
  detail::lock_acquire(core, head);
}

bool Lock::try_acquire() const {
  auto& [head, core] = shared();
  return detail::lock_try_acquire(core, head);
}

bool Lock::acquire_until(detail::TimePoint deadline) const {
  auto& [head, core] = shared();
  return detail::lock_acquire_until(core, head, deadline);
}

void Lock::release() const {
  auto& [head, core] = shared();
  detail::lock_release(core, head);
}

bool Lock::locked() const { return detail::lock_is_taken(shared().core); }

bool Lock::recover() const {
  auto& [head, core] = shared();
  return detail::lock_recover(core, head);
}

}  // namespace procession
