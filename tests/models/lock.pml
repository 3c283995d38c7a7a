/* The slow path of a lock, with threads that are killed anywhere: src/sync/lock_core.cpp over
 * src/sync/sleeper.cpp.
 *
 * Checked: at most one living thread holds the lock (the assertion in `critical`), and no wake-up is lost:
 * every living thread comes to its end (an invalid end state is a thread that sleeps for ever).
 *
 * A step of a thread is one access to shared memory or one action of the kernel; a thread can be killed before
 * each of them. The kernel's part: a sleeper listens to the lock's word, to the life token of the
 * owner that it has seen, and to the bell; a death wakes one who listens to the dead thread's
 * token and, if it was on duty, one who listens to the bell. The kernel adds a sleeper to these queues one
 * after another, and compares as it goes.
 *
 * N threads, each takes the lock ROUNDS times; up to KILLS of them die; up to TIMEOUTS waits end by their
 * deadline. RAISE: a death poisons the lock, and whoever hears of it recovers it; else it is set free.
 * WITHOUT_...: leaves out one of the mechanisms, and must be found to fail.
 */
#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif
#ifndef RAISE
#define RAISE 0
#endif

#define NOBODY N

/* The lock's word. */
byte owner = NOBODY;
bit waiters, poisoned;

/* Threads, as the kernel sees them. */
bit alive[N], killed[N], on_duty[N];
byte kills, timeouts; /* how many there will still be */

/* Futex queues: who listens, and whether one of the queues has woken it. */
#define NOT 0
#define BY_WORD 1
#define BY_TOKEN 2
#define BY_BELL 3
bit on_word[N], on_bell[N];
byte on_token[N]; /* whose; NOBODY: none */
byte woken[N];
byte rounds;

bit inside[N]; /* has the lock; for the assertion alone */

inline leave_queues(i) {
  on_word[i] = 0; on_bell[i] = 0; on_token[i] = NOBODY
}

inline wake_one_on_word() {
  atomic {
    if
    :: on_word[0] && !woken[0] -> woken[0] = BY_WORD
    :: on_word[1] && !woken[1] -> woken[1] = BY_WORD
#if N > 2
    :: on_word[2] && !woken[2] -> woken[2] = BY_WORD
#endif
    :: else
    fi
  }
}

inline wake_one_on_token(i) {
  if
  :: on_token[0] == i && !woken[0] -> woken[0] = BY_TOKEN
  :: on_token[1] == i && !woken[1] -> woken[1] = BY_TOKEN
#if N > 2
  :: on_token[2] == i && !woken[2] -> woken[2] = BY_TOKEN
#endif
  :: else
  fi
}

inline wake_one_on_bell() {
  if
  :: on_bell[0] && !woken[0] -> woken[0] = BY_BELL
  :: on_bell[1] && !woken[1] -> woken[1] = BY_BELL
#if N > 2
  :: on_bell[2] && !woken[2] -> woken[2] = BY_BELL
#endif
  :: else
  fi
}

inline wake_all_on(what, mark) {
  d_step {
    j = 0;
    do
    :: j < N -> if :: (what) && !woken[j] -> woken[j] = mark :: else fi; j++
    :: else -> break
    od;
    j = 0
  }
}

/* Sleeper::sleep(): `seen` is the owner that was found, with the waiters bit. */
inline sleep(me) {
  on_duty[me] = 1;
  round = rounds;
  if
  :: !alive[seen] -> goto again
  :: else
  fi;
  woken[me] = NOT;
  /* The kernel goes through its list. */
  atomic {
    if
    :: owner == seen && waiters && !poisoned -> on_word[me] = 1
    :: else -> goto again
    fi
  }
  atomic {
    if
    :: alive[seen] -> on_token[me] = seen
    :: else -> leave_queues(me); goto awake
    fi
  }
  on_bell[me] = 1;
#ifndef WITHOUT_SECOND_COMPARE
  atomic {
    if
    :: owner == seen && waiters && !poisoned
    :: else -> leave_queues(me); goto awake
    fi
  }
#endif
  atomic {
    if
    :: rounds == round
    :: else -> leave_queues(me); goto awake
    fi
  }
  atomic {
    if
    :: alive[seen]
    :: else -> leave_queues(me); goto awake
    fi
  }
  atomic {
    if
    :: woken[me] != NOT
    :: timeouts > 0 && woken[me] == NOT -> timeouts--; timed_out = 1
    fi;
    leave_queues(me)
  }
awake:
  if
  :: woken[me] == BY_BELL && rounds == round ->
     rounds++;
     wake_all_on(on_bell[j], BY_BELL)
  :: else
  fi;
  if
  :: !alive[seen] -> wake_all_on(on_token[j] == seen, BY_TOKEN)
  :: else
  fi
}

inline enter(me) {
  d_step {
    inside[me] = 1;
    j = 0;
    do
    :: j < N -> assert(j == me || !inside[j] || !alive[j]); j++
    :: else -> break
    od;
    j = 0
  }
}

inline release(me) {
  atomic {
    if
    :: owner == me && !waiters -> owner = NOBODY; goto released
    :: else
    fi
  }
  on_duty[me] = 1;
  atomic { owner = NOBODY; waiters = 0 }
  wake_one_on_word();
released:
  on_duty[me] = 0
}

proctype thread(byte me) {
  byte left = ROUNDS, seen = NOBODY, round, j;
  bit slept, timed_out, died;
  {
    do
    :: left == 0 -> break
    :: left > 0 ->
       slept = 0; timed_out = 0; died = 0;
again:
       atomic {
         if
         :: owner == NOBODY && !poisoned -> owner = me; goto acquired /* its compare-exchange */
         :: poisoned -> goto dead_owner
         :: else -> seen = owner
         fi
       }
       if
       :: !alive[seen] ->
          on_duty[me] = 1;
          atomic {
            if
            :: owner == seen && !poisoned ->
#if RAISE
               poisoned = 1; waiters = 0;
#else
               owner = NOBODY; waiters = 0;
#endif
               died = 1
            :: else -> died = 0
            fi
          }
          if
          :: died -> wake_all_on(on_word[j], BY_WORD)
          :: else
          fi;
          goto again
       :: else
       fi;
       if
       :: timed_out -> goto gave_up
       :: else
       fi;
       atomic {
         if
         :: owner == seen && !poisoned -> waiters = 1
         :: else -> goto again
         fi
       }
       slept = 1;
       sleep(me);
       goto again;

dead_owner:
       /* OwnerDied: who has slept wakes all; then recover(), another attempt. */
       if
       :: slept -> wake_all_on(on_word[j], BY_WORD); on_duty[me] = 0
       :: else
       fi;
       slept = 0;
       atomic {
         if
         :: poisoned -> poisoned = 0; owner = me; waiters = 0; goto acquired
         :: else -> goto again
         fi
       }

gave_up:
       if
       :: slept ->
          waiters = 0;
#ifndef WITHOUT_WAKE_ON_TIMEOUT
          wake_one_on_word()
#endif
       :: else
       fi;
       on_duty[me] = 0;
       goto next;

acquired:
       enter(me);
       if
       :: slept -> wake_one_on_word()
       :: else
       fi;
       on_duty[me] = 0;
       inside[me] = 0;
       release(me);
next:
       left--
    od
  } unless {
    killed[me]
  };
  /* Its end. The kernel walks through what the thread has left behind. */
  if
  :: killed[me] ->
     atomic { alive[me] = 0; leave_queues(me) }
#ifndef WITHOUT_TOKEN
     atomic { wake_one_on_token(me) }
#endif
     atomic {
       if
#ifndef WITHOUT_BELL
       :: on_duty[me] -> wake_one_on_bell()
#endif
       :: else
       fi
     }
  :: else
  fi
}

proctype killer() {
end:
  do
  :: atomic { kills > 0 && alive[0] && !killed[0] -> killed[0] = 1; kills-- }
  :: atomic { kills > 0 && alive[1] && !killed[1] -> killed[1] = 1; kills-- }
#if N > 2
  :: atomic { kills > 0 && alive[2] && !killed[2] -> killed[2] = 1; kills-- }
#endif
  od
}

init {
  byte i;
  atomic {
    /* Chosen here, so that a kill or the end of a wait that could still come is no way out for those who sleep for ever. */
    select(kills : 0 .. KILLS);
    select(timeouts : 0 .. TIMEOUTS);
    do
    :: i < N -> alive[i] = 1; on_token[i] = NOBODY; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < N -> run thread(i); i++
    :: else -> break
    od;
    run killer()
  }
}
