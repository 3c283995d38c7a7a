#include "procession/rw_lock.hpp"

#include "sync/rw_lock_core.hpp"

namespace procession {

using detail::Patience;

RWLock::RWLock(const Name& name, OnOwnerDeath on_death)
    : HandleBase(detail::create_object(detail::ObjectKind::RWLock, sizeof(detail::RWLockShared),
                                       name.text, detail::ReaderTable::chunk_count)) {
  shared().writer.on_death =
      on_death == OnOwnerDeath::Release ? detail::OwnerDeath::Release : detail::OwnerDeath::Raise;
}

RWLock RWLock::from_object(detail::Object* object) {
  if (object != nullptr) detail::retain(object);
  return RWLock(object);
}

void RWLock::lock() const { (void)detail::rw_lock(shared(), {Patience::ForEver}); }

bool RWLock::try_lock() const { return detail::rw_lock(shared(), {Patience::None}); }

bool RWLock::lock_until(detail::TimePoint deadline) const {
  return detail::rw_lock(shared(), {Patience::UntilDeadline, deadline});
}

void RWLock::unlock() const { detail::rw_unlock(shared()); }

bool RWLock::recover() const { return detail::rw_recover(shared()); }

bool RWLock::locked() const { return detail::rw_is_taken(shared()); }

void RWLock::lock_shared() const { (void)detail::rw_lock_shared(shared(), {Patience::ForEver}); }

bool RWLock::try_lock_shared() const { return detail::rw_lock_shared(shared(), {Patience::None}); }

bool RWLock::lock_shared_until(detail::TimePoint deadline) const {
  return detail::rw_lock_shared(shared(), {Patience::UntilDeadline, deadline});
}

void RWLock::unlock_shared() const { detail::rw_unlock_shared(shared()); }

}  // namespace procession
