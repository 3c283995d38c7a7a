/* How those who wait for items of a queue sleep and are woken: src/channel/queue_core.cpp and
 * src/channel/side_wait.cpp over src/sync/sleeper.cpp.
 *
 * Checked: when nothing moves any more, no living thread sleeps while there is an item (the assertion in
 * `judge`). Threads are killed anywhere.
 *
 * PUTTERS put in one item each. GETTERS take items again and again, or with ONCE one each. WAITERS wait for an item, like wait(),
 * and take none: their wake-up is passed on. A step is one access to shared memory or one action of the
 * kernel. The cells are a count of what was put and of what is there: a cell that was found open is
 * another one after the next put. Up to KILLS threads die.
 * WITHOUT_...: leaves out one of the mechanisms, and must be found to fail.
 */
#ifndef PUTTERS
#define PUTTERS 2
#endif
#ifndef GETTERS
#define GETTERS 2
#endif
#ifndef WAITERS
#define WAITERS 0
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define N (PUTTERS + GETTERS + WAITERS)

/* The queue, and the futex word of those who wait for items. */
byte items, puts;
bit asleep, several;
byte changes;

/* Threads, as the kernel sees them. */
bit alive[N], killed[N], on_duty[N];
byte kills;

/* Futex queues: who listens, and whether one of the queues has woken it. */
#define NOT 0
#define BY_WORD 1
#define BY_BELL 2
bit on_word[N], on_bell[N];
byte woken[N];
byte rounds;

inline leave_queues(i) { on_word[i] = 0; on_bell[i] = 0 }

/* Any one of those who listen. */
#define WAKE_ONE(i, queue, mark) queue[i] && !woken[i] -> woken[i] = mark

inline wake_one_on_word() {
  atomic {
    found = 1;
    if
    :: WAKE_ONE(0, on_word, BY_WORD)
    :: WAKE_ONE(1, on_word, BY_WORD)
#if N > 2
    :: WAKE_ONE(2, on_word, BY_WORD)
#endif
#if N > 3
    :: WAKE_ONE(3, on_word, BY_WORD)
#endif
    :: else -> found = 0
    fi
  }
}

inline wake_one_on_bell() {
  atomic {
    if
    :: WAKE_ONE(0, on_bell, BY_BELL)
    :: WAKE_ONE(1, on_bell, BY_BELL)
#if N > 2
    :: WAKE_ONE(2, on_bell, BY_BELL)
#endif
#if N > 3
    :: WAKE_ONE(3, on_bell, BY_BELL)
#endif
    :: else
    fi
  }
}

inline wake_all_on(listens, mark) {
  d_step {
    j = 0;
    do
    :: j < N -> if :: (listens) && !woken[j] -> woken[j] = mark :: else fi; j++
    :: else -> break
    od;
    j = 0
  }
}

/* wake_one() of the queue. */
inline wake_a_getter() {
  saw_asleep = 0; saw_several = 0;
  atomic { saw_asleep = asleep; saw_several = several }
  if
  :: saw_asleep ->
#ifndef WITHOUT_SEVERAL
     found = 0;
     if
     :: saw_several -> wake_one_on_word()
     :: else
     fi;
     if
     :: !found ->
#endif
        /* Its compare-exchange. */
        atomic {
          if
          :: asleep -> asleep = 0; several = 0; changes++; found = 1
          :: else -> found = 0
          fi
        }
        if
#ifdef WITHOUT_SEVERAL
        :: found -> wake_one_on_word()
#else
        :: found -> wake_all_on(on_word[j], BY_WORD)
#endif
        :: else
        fi
#ifndef WITHOUT_SEVERAL
     :: else
     fi
#endif
  :: else
  fi
}

inline dies(me) {
  atomic { alive[me] = 0; leave_queues(me) }
  if
#ifndef WITHOUT_BELL
  :: on_duty[me] -> wake_one_on_bell()
#endif
  :: else
  fi
}

proctype putter(byte me) {
  byte j;
  bit saw_asleep, saw_several, found;
  {
#ifndef WITHOUT_DUTY
    on_duty[me] = 1;
#endif
    atomic { items++; puts++ } /* the cell */
    wake_a_getter();
    on_duty[me] = 0
  } unless {
    killed[me]
  };
  if
  :: killed[me] -> dies(me)
  :: else
  fi
}

/* `takes`: a getter; else it waits once. */
proctype sleeper(byte me; bit takes) {
  byte j, round, seen_puts, seen_changes;
  bit saw_asleep, saw_several, seen_several, found, slept;
  {
    skip;
again:
    /* An attempt. */
    atomic {
      if
      :: items > 0 && takes -> items--; goto done
      :: items > 0 && !takes -> goto done
      :: else -> seen_puts = puts
      fi
    }
    /* announce_sleep() */
    atomic {
      if
      :: asleep -> several = 1
      :: else -> asleep = 1
      fi;
      seen_several = several; seen_changes = changes
    }
    /* It looks once more. */
    atomic {
      if
      :: items > 0 && takes -> items--; goto done
      :: items > 0 && !takes -> goto done
      :: else -> seen_puts = puts
      fi
    }
    on_duty[me] = 1;
    slept = 1;
    round = rounds;
    woken[me] = NOT;
    /* The kernel goes through its list. */
    atomic {
      if
      :: asleep && several == seen_several && changes == seen_changes -> on_word[me] = 1
      :: else -> goto awake
      fi
    }
    on_bell[me] = 1;
    atomic {
      if
      :: asleep && several == seen_several && changes == seen_changes
      :: else -> leave_queues(me); goto awake
      fi
    }
#ifndef WITHOUT_CELL
    atomic {
      if
      :: puts == seen_puts
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
end_asleep:
    atomic { woken[me] != NOT -> leave_queues(me) }
awake:
    if
    :: woken[me] == BY_BELL && rounds == round ->
       rounds++;
       wake_all_on(on_bell[j], BY_BELL)
    :: else
    fi;
    goto again;
done:
    /* wait() passes on what it may have been woken for. */
#ifndef WITHOUT_PASSING_ON
    if
    :: slept && !takes && items > 0 -> wake_a_getter()
    :: else
    fi;
#endif
    on_duty[me] = 0;
    slept = 0;
#ifndef ONCE
    if
    :: takes -> goto again
    :: else
    fi
#endif
  } unless {
    killed[me]
  };
  if
  :: killed[me] -> dies(me)
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
#if N > 3
  :: atomic { kills > 0 && alive[3] && !killed[3] -> killed[3] = 1; kills-- }
#endif
  od
}

/* Nothing moves any more: whoever lives and sleeps has nothing to take. */
proctype judge() {
  byte j;
  timeout;
  do
  :: j < N -> assert(items == 0 || !alive[j] || !on_word[j]); j++
  :: else -> break
  od
}

init {
  byte i;
  atomic {
    /* Chosen here, so that a kill that could still come is no way out for those who sleep for ever. */
    select(kills : 0 .. KILLS);
    do
    :: i < N -> alive[i] = 1; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < PUTTERS -> run putter(i); i++
    :: i >= PUTTERS && i < PUTTERS + GETTERS -> run sleeper(i, 1); i++
    :: i >= PUTTERS + GETTERS && i < N -> run sleeper(i, 0); i++
    :: else -> break
    od;
    run killer();
    run judge()
  }
}
