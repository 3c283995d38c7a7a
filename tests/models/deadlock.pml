/* The search for deadlocks: src/sync/wait_edge.cpp and cycle_search.cpp, as src/sync/lock_attempt.cpp calls them.
 *
 * Checked: a thread is a victim only of a cycle that stood while it looked, of which nobody else is the victim,
 * and which stands until it gives up, unless a death has broken it meanwhile; it has taken nothing (the
 * assertions in `verdict_is_right`). Every cycle has a victim: all living threads come to their end (an invalid
 * end state is a cycle of threads that sleep for ever).
 *
 * N threads and LOCKS locks. A thread takes a lock and perhaps another, in any order, sets free what it has, and
 * does so ROUNDS times; a victim gives up what it has. Up to KILLS threads are killed, each before any step.
 * A step is one access to shared memory: one word of a lock, the sequence number and target of an edge (the
 * reader compares the number before and after), the life token of a thread.
 *
 * What the model leaves out, and why it may:
 *   - Sleep and wake-up: lock.pml. Here a sleeper goes on when its lock is free or poisoned or its owner dead.
 *   - some_holder_waits and the readings before the verdict lock is taken: they only save work. The walk that
 *     decides whether it is taken at all is here.
 *   - The walk before the first reading, with that lock: whatever it finds, the first reading must find again;
 *     here the first reading finds its way itself, which it can do whenever the walk and it both can.
 *   - Readers of an RWLock: each thread here waits for one other.
 *
 * RAISE: a death poisons the lock, and whoever hears of it gives up what it has; else the lock is set free.
 * WITHOUT_...: leaves out one of the mechanisms, and must be found to fail.
 */
#ifndef N
#define N 3
#endif
#ifndef LOCKS
#define LOCKS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RAISE
#define RAISE 0
#endif

#define NOBODY N
#define POISONED (N + 1)
#define NONE LOCKS

/* The locks' words: a thread, NOBODY or POISONED. */
byte owner[LOCKS] = NOBODY;

/* The edges. `sequence` is odd while the thread waits for `target`. */
byte sequence[N], target[N];
byte verdict = NOBODY; /* a lock: its owner's death sets it free */

bit alive[N] = 1, killed[N];
byte kills; /* how many there will still be */

#ifdef WITHOUT_DEATHS
#define counts(x) true
#else
#define counts(x) alive[x]
#endif

#ifdef WITHOUT_ROBUST_VERDICT
#define verdict_is_abandoned false
#else
#define verdict_is_abandoned (verdict < N && !alive[verdict])
#endif

/* For the assertions alone: whether a thread was the victim in its last wait. */
bit gave_up[N];
#define was_victim(x, number) (gave_up[x] && sequence[x] == number + 1)

/* Whether the cycle that the first reading has found stands at this moment. */
inline see_whether_it_stands(me) {
  stood = alive[first] && owner[want] == first && sequence[first] == first_sequence &&
          (second == NOBODY -> owner[target[first]] == me
                            : owner[target[first]] == second && alive[second] &&
                              sequence[second] == second_sequence && owner[target[second]] == me)
}

inline verdict_is_right(me) {
  assert(stood);
  assert(!was_victim(first, first_sequence));
  assert(second == NOBODY || !was_victim(second, second_sequence));
  assert(!alive[first] || second != NOBODY && !alive[second] ||
         sequence[first] == first_sequence &&
         (second == NOBODY || sequence[second] == second_sequence));
  assert(owner[want] != me);
  gave_up[me] = 1
}

inline forget_the_reading() {
  first = NOBODY; second = NOBODY; first_sequence = 0; second_sequence = 0; next = NONE; stood = 0
}

inline withdraw(me) {
  if
  :: sequence[me] % 2 == 1 -> sequence[me]++
  :: else
  fi
}

/* The locks are alike, so the first that thread 0 takes may be called 0, and that of thread 1 is 0 or 1. */
#define is_named(lock) (me >= lock || held != NONE || left != ROUNDS - 1)

inline choose_lock() {
  if
  :: held != 0 -> want = 0
  :: held != 1 && is_named(1) -> want = 1
#if LOCKS > 2
  :: held != 2 && is_named(2) -> want = 2
#endif
  fi
}

proctype thread(byte me) {
  byte left = ROUNDS, held = NONE, want = NONE;
  /* The cycle that is being read: this thread waits for `first`, that for `second` or for this one. */
  byte first = NOBODY, second = NOBODY, first_sequence, second_sequence;
  byte next = NONE; /* the lock whose word is to be read */
  bit looked, judging, stood;
  {
    do
    :: left == 0 -> break
    :: atomic { left > 0 -> left--; choose_lock() };
attempt:
       atomic {
         if
         :: owner[want] == NOBODY -> owner[want] = me; goto leave
         :: owner[want] == POISONED -> goto leave
         :: owner[want] < N && !alive[owner[want]] -> /* settle_death */
            owner[want] = (RAISE -> POISONED : NOBODY);
            goto attempt
         :: owner[want] < N && alive[owner[want]] && !looked -> looked = 1
         fi
       }
#ifndef WITHOUT_EDGE_BEFORE_SEARCH
       atomic { target[me] = want; sequence[me]++; gave_up[me] = 0 }
#endif

look:
       /* The walk. With the verdict lock it is the first reading. */
       atomic {
         if
         :: owner[want] < N -> first = owner[want]
         :: else -> goto no_cycle
         fi
       }
       atomic { if :: counts(first) :: else -> goto no_cycle fi }
       atomic {
         if
         :: sequence[first] % 2 == 1 -> first_sequence = sequence[first]; next = target[first]
         :: else -> goto no_cycle
         fi
       }
       atomic {
         if
         :: owner[next] == me -> see_whether_it_stands(me); goto cycle
         :: owner[next] < N && owner[next] != me && owner[next] != first -> second = owner[next]
         :: else -> goto no_cycle
         fi
       }
       atomic { if :: counts(second) :: else -> goto no_cycle fi }
       atomic {
         if
         :: sequence[second] % 2 == 1 -> second_sequence = sequence[second]; next = target[second]
         :: else -> goto no_cycle
         fi
       }
       atomic {
         if
         :: owner[next] == me -> see_whether_it_stands(me)
         :: else -> goto no_cycle
         fi
       }

cycle:
       if
       :: !judging ->
          atomic {
#ifndef WITHOUT_VERDICT
            verdict == NOBODY || verdict_is_abandoned -> verdict = me;
#endif
            judging = 1;
            forget_the_reading()
          }
          goto look
       :: else
       fi;
#ifndef WITHOUT_SECOND_READING
       atomic { if :: owner[want] == first :: else -> goto again fi }
       atomic { if :: counts(first) :: else -> goto again fi }
       atomic {
         if
         :: sequence[first] == first_sequence -> next = target[first]
         :: else -> goto again
         fi
       }
       if
       :: second == NOBODY ->
          atomic { if :: owner[next] == me :: else -> goto again fi }
       :: else ->
          atomic { if :: owner[next] == second :: else -> goto again fi }
          atomic { if :: counts(second) :: else -> goto again fi }
          atomic {
            if
            :: sequence[second] == second_sequence -> next = target[second]
            :: else -> goto again
            fi
          }
          atomic { if :: owner[next] == me :: else -> goto again fi }
       fi;
#endif
#ifdef WITHOUT_WITHDRAW_BEFORE_UNLOCK
       verdict = NOBODY;
#endif
       atomic { verdict_is_right(me); withdraw(me); forget_the_reading() }
       atomic {
         if
         :: verdict == me -> verdict = NOBODY
         :: else
         fi;
         judging = 0
       }
       goto leave; /* DeadlockError */

again:
       forget_the_reading();
       goto look;

no_cycle:
       atomic {
         if
         :: verdict == me -> verdict = NOBODY
         :: else
         fi;
         judging = 0;
         forget_the_reading();
#ifdef WITHOUT_EDGE_BEFORE_SEARCH
         target[me] = want; sequence[me]++; gave_up[me] = 0
#endif
#ifdef WITHOUT_EDGE_WHILE_ASLEEP
         withdraw(me)
#endif
       }
       goto attempt;

leave:
       atomic { withdraw(me); looked = 0 }
       if
       :: atomic { owner[want] == me && held == NONE -> held = want; choose_lock() }
          goto attempt
       :: atomic { owner[want] == me -> owner[want] = NOBODY }
       :: owner[want] != me
       fi;
       atomic {
         if
         :: held != NONE -> owner[held] = NOBODY
         :: else
         fi;
         held = NONE; want = NONE
       }
    od
  } unless {
    killed[me]
  };
  atomic { /* nothing of it matters any more */
    forget_the_reading();
    left = 0; held = NONE; want = NONE; looked = 0; judging = 0; gave_up[me] = 0;
    if
    :: !killed[me] -> alive[me] = 0; sequence[me] = 0; target[me] = 0 /* nobody asks for it */
    :: else
    fi
  }
}

proctype killer() {
end:
  do
  :: atomic { kills > 0 && alive[0] -> kills--; killed[0] = 1; alive[0] = 0 }
  :: atomic { kills > 0 && alive[1] -> kills--; killed[1] = 1; alive[1] = 0 }
#if N > 2
  :: atomic { kills > 0 && alive[2] -> kills--; killed[2] = 1; alive[2] = 0 }
#endif
  od
}

init {
  byte i;
  atomic {
    /* Chosen here, so that a kill that could still come is no way out for those who sleep for ever. */
    select(kills : 0 .. KILLS);
    do
    :: i < N -> run thread(i); i++
    :: else -> break
    od;
    run killer()
  }
}
