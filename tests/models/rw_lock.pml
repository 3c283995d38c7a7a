/* Readers and writers: src/sync/rw_lock_core.cpp, invariants 2 to 5.
 *
 * Checked: no thread reads while another writes, and no two write; the word without the draining bit, or
 * poisoned, means that no living thread has a share (the assertions in `alone`). No wake-up of the writer that
 * waits for readers is lost: every living thread comes to its end (an invalid end state is a thread that sleeps
 * for ever).
 *
 * Threads 0 .. READERS - 1 read: each takes a share, perhaps another, and gives them back, ROUNDS times. The
 * WRITERS after them write once; with TIMEOUTS, so many waits of a writer end by their deadline. Up to
 * KILLS threads are killed, each before any step. A step is one access to shared memory: the writer's word, the
 * entry of one reader, `drained`, the life token of a thread.
 *
 * What the model leaves out, and why it may:
 *   - Sleep and wake-up on the writer's word: it is a lock as in lock.pml. Here who sleeps there goes on when the
 *     word is 0 or poisoned or its owner is dead.
 *   - That the kernel adds a sleeper to its queues one after another, and the bell: lock.pml. Here the writer
 *     that sleeps on `drained` compares and listens in one step, and a death wakes who listens to its token.
 *
 * A writer's death poisons the lock; the next writer recovers it, a reader gives up.
 * WITHOUT_...: leaves out one of the mechanisms, and must be found to fail.
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif

#define N (READERS + WRITERS)
#define NOBODY N

/* The writer's word. */
byte owner = NOBODY;
bit draining, poisoned;

byte entry[READERS]; /* how many shares */
byte drained;

bit alive[N] = 1, killed[N];
byte kills, timeouts; /* how many there will still be */

/* The writer that sleeps on `drained`, and to whose tokens it listens: there is only one. */
byte sleeper = NOBODY;
bit woken, listens[N];

/* For the assertions alone. */
bit reads[READERS], writes[N];

#define is_free (owner == NOBODY && !poisoned)
#define owner_is_dead (owner != NOBODY && !poisoned && !alive[owner])

inline settle_death() {
  poisoned = !draining;
  if
  :: draining -> owner = NOBODY; draining = 0
  :: else
  fi
}

inline alone() {
  d_step {
    i = 0;
    do
    :: i < READERS -> assert(!reads[i] || !alive[i]); i++
    :: else -> break
    od;
    do
    :: i < N -> assert(!writes[i] || !alive[i]); i++
    :: else -> break
    od;
    i = 0;
    writes[me] = 1
  }
}

inline read() {
  assert(owner == NOBODY || draining || owner == me);
  reads[me] = 1
}

/* --- readers --- */

inline wake_draining_writer() {
  if
  :: draining ->
#ifndef WITHOUT_COUNT
     drained++;
#endif
     atomic {
       if
       :: sleeper != NOBODY -> woken = 1
       :: else
       fi
     }
  :: else
  fi
}

proctype reader(byte me) {
  byte left = ROUNDS;
  {
    do
    :: left == 0 -> break
    :: left > 0 ->
       left--;
attempt:
       atomic {
         if
         :: is_free -> skip
         :: poisoned -> goto gave_up /* OwnerDied */
         :: owner_is_dead -> settle_death(); goto attempt
         fi
       }
#ifdef WITHOUT_ENTRY_BEFORE_WORD
       atomic { entry[me] = 1; read() }
#else
       entry[me] = 1;
       atomic {
         if
         :: is_free -> read(); goto shared
         :: else
         fi
       }
       entry[me] = 0;
#ifndef WITHOUT_WAKE_ON_TAKING_BACK
       wake_draining_writer();
#endif
       goto attempt;
#endif
shared:
       if
       :: entry[me] = 2; entry[me] = 1
       :: skip
       fi;
       reads[me] = 0;
       entry[me] = 0;
       wake_draining_writer();
gave_up:
       skip
    od
  } unless {
    killed[me]
  };
  atomic { left = 0; reads[me] = 0; killed[me] = 1 }
}

/* --- writers --- */

/* The entries one after another; those of the dead are cleared. */
inline look(i) {
  if
  :: entry[i] != 0 && !alive[i] -> entry[i] = 0 /* a dead thread writes no more */
  :: entry[i] != 0 && alive[i] -> collected[i] = 1
  :: else
  fi
}

inline collect() {
  collected[0] = 0;
#if READERS > 1
  collected[1] = 0;
#endif
  atomic { look(0) }
#if READERS > 1
  atomic { look(1) }
#endif
}

#if READERS > 1
#define none_collected (!collected[0] && !collected[1])
#define collected_are_alive ((!collected[0] || alive[0]) && (!collected[1] || alive[1]))
#else
#define none_collected (!collected[0])
#define collected_are_alive (!collected[0] || alive[0])
#endif

inline listen_to(i) {
#ifndef WITHOUT_TOKENS
  listens[i] = collected[i];
#endif
  collected[i] = 0
}

inline leave_queues() {
  sleeper = NOBODY; woken = 0; listens[0] = 0;
#if READERS > 1
  listens[1] = 0
#endif
}

proctype writer(byte me) {
  byte seen, i;
  bit collected[READERS];
  {
    skip;
attempt:
    atomic {
      if
      :: is_free -> owner = me; draining = 1
      :: poisoned -> owner = me; poisoned = 0; alone(); goto alone_now /* recover */
      :: owner_is_dead -> settle_death(); goto attempt
      fi
    }
    do
    :: collect();
       if
       :: none_collected -> break
       :: else
       fi;
       if
       :: atomic { timeouts > 0 -> timeouts--; collected[0] = 0;
#if READERS > 1
            collected[1] = 0;
#endif
            goto release }
       :: skip
       fi;
#ifdef WITHOUT_COUNT_READ_FIRST
       collect();
       seen = drained;
#else
       seen = drained;
       collect();
#endif
       if
       :: none_collected -> seen = 0
       :: else ->
          atomic {
            if
            :: drained == seen && collected_are_alive ->
               sleeper = me; listen_to(0);
#if READERS > 1
               listen_to(1)
#endif
            :: else
            fi;
            seen = 0; drained = 0 /* only that it has changed matters, and only from `seen` to here */
          }
          atomic {
            if
            :: sleeper == me && woken -> leave_queues()
            :: sleeper == me && !woken && timeouts > 0 -> timeouts--; leave_queues(); goto release
            :: sleeper != me
            fi
          }
       fi
    od;
    atomic { draining = 0; drained = 0; alone() }
alone_now:
    writes[me] = 0;
release:
    atomic { owner = NOBODY; draining = 0; drained = 0 }
  } unless {
    killed[me]
  };
  atomic {
    if
    :: sleeper == me -> leave_queues()
    :: else
    fi;
    /* From here on nothing of it matters, and to kill it makes no difference. */
    seen = 0; i = 0; writes[me] = 0; killed[me] = 1;
    collected[0] = 0;
#if READERS > 1
    collected[1] = 0
#endif
  }
}

/* The kernel: first the token is dead, then one who listens to it is woken. */
inline kill(whom) {
  atomic { kills > 0 && !killed[whom] -> kills--; killed[whom] = 1; alive[whom] = 0 }
  atomic {
    if
    :: listens[whom] -> woken = 1
    :: else
    fi
  }
}

proctype killer() {
end:
  do
  :: kill(0)
  :: kill(1)
#if N > 2
  :: kill(2)
#endif
#if N > 3
  :: kill(3)
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
    :: i < READERS -> run reader(i); i++
    :: else -> break
    od;
    do
    :: i < N -> run writer(i); i++
    :: else -> break
    od;
    run killer()
  }
}
