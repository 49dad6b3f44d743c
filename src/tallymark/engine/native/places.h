/* The table of processes in the shared file. Each process that shares has a place there, and the lock on it. */
#ifndef TALLYMARK_PLACES_H
#define TALLYMARK_PLACES_H

#include "shared.h"

typedef struct {
    _Atomic uint64_t pid; /* 0: there is nothing to bury here */
    uint64_t started;     /* clock ticks after boot, as in /proc/PID/stat */
    double since;         /* seconds since the epoch */
    uint64_t namespace;   /* of the pid, as the number of the file /proc/PID/ns/pid; 0: not known */
} Place;

/* Under the lock: take a place for this process. Return 1 if a process that died had it and is to be buried first: the
 * caller then buries, and calls place_settle(). */
int place_take(Shared *shared);

/* Under the lock: write who has our place. */
void place_settle(Shared *shared);

/* Under the lock: find the processes that died, and take the locks of their places. Return 1 if there are any. */
int places_find_dead(Shared *shared, uint64_t dead[PLACE_WORDS]);

/* Under the lock: give such places back, once the processes are buried. */
void places_give_back(Shared *shared, const uint64_t dead[PLACE_WORDS]);

#endif
