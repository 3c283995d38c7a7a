// Everything. Each concept also has its own header.
#pragma once

#include "procession/barrier.hpp"
#include "procession/bind_front.hpp"
#include "procession/errors.hpp"
#include "procession/event.hpp"
#include "procession/lock.hpp"
#include "procession/log.hpp"
#include "procession/main.hpp"
#include "procession/memory.hpp"
#include "procession/pool.hpp"
#include "procession/process.hpp"
#include "procession/remote.hpp"
#include "procession/rlock.hpp"
#include "procession/rw_lock.hpp"
#include "procession/semaphore.hpp"
#include "procession/types.hpp"
#include "procession/value.hpp"
